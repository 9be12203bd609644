//! Sources and targets of copies.

use super::objects::Objects;
use super::piece::Entry;
use super::tar::{TarFile, TarTarget, TarUpload};
use crate::archive::Archive;
use crate::bucket::ReadError;
use crate::bucket::fault::failed;
use crate::error::Result;
use crate::key::Keys;
use bytes::Bytes;
use davy_base::{Clock, Random};
use davy_bucket::{Client, ClientOptions, NoMeter, OpenBucket, Upload};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The source of a copy.
pub struct CopySource(pub(super) From);

pub(super) enum From {
    Readable(Source),
    Stream(Box<dyn Read + Send>),
}

/// The target of a copy.
pub struct CopyTarget(pub(super) Target);

/// A source with random access.
#[derive(Clone)]
pub(super) enum Source {
    Objects(Objects),
    Tar(TarFile),
}

#[derive(Clone)]
pub(super) enum Target {
    Objects(Objects),
    Tar(TarTarget),
}

/// An object that is being written.
pub(super) enum Writing<'a> {
    Object(Upload<'a>, object_store::path::Path),
    Entry(TarUpload),
}

fn objects(bucket: OpenBucket, requests: &ClientOptions) -> Objects {
    let keys = Keys::new(&bucket.url.prefix);
    let (clock, random) = (Clock::system(), Random::system());
    let client = Client::new(bucket, requests.clone(), clock, random, Arc::new(NoMeter));
    Objects::new(Arc::new(client), keys)
}

fn own(archive: &Archive) -> Objects {
    let bucket = archive.bucket();
    Objects::new(Arc::clone(bucket.client()), bucket.keys.clone())
}

impl CopySource {
    /// The archive in a bucket.
    pub fn bucket(bucket: OpenBucket, requests: &ClientOptions) -> Self {
        Self(From::Readable(Source::Objects(objects(bucket, requests))))
    }

    /// A tar file that an export wrote.
    pub fn tar(path: &Path) -> Result<Self> {
        Ok(Self(From::Readable(Source::Tar(TarFile::open(path)?))))
    }

    /// A tar file that arrives, for example on standard input.
    pub fn stream(input: Box<dyn Read + Send>) -> Self {
        Self(From::Stream(input))
    }

    pub(super) fn of(archive: &Archive) -> Self {
        Self(From::Readable(Source::Objects(own(archive))))
    }
}

impl CopyTarget {
    /// A bucket, which may contain an archive.
    pub fn bucket(bucket: OpenBucket, requests: &ClientOptions) -> Self {
        Self(Target::Objects(objects(bucket, requests)))
    }

    /// A tar file, which is continued if it exists.
    pub fn tar(path: &Path) -> Result<Self> {
        Ok(Self(Target::Tar(TarTarget::open(path)?)))
    }

    /// A tar file that is sent, for example to standard output.
    pub fn stream(out: Box<dyn Write + Send>) -> Result<Self> {
        Ok(Self(Target::Tar(TarTarget::stream(out)?)))
    }

    pub(super) fn of(archive: &Archive) -> Self {
        Self(Target::Objects(own(archive)))
    }
}

impl Source {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Objects(of) => of.name(),
            Self::Tar(of) => of.name().to_owned(),
        }
    }

    pub(super) async fn tenants(&self) -> Result<Vec<String>> {
        match self {
            Self::Objects(of) => of.tenants().await,
            Self::Tar(of) => Ok(of.tenants()),
        }
    }

    pub(super) async fn list(&self, tenant: &str) -> Result<Vec<Entry>> {
        match self {
            Self::Objects(of) => of.list(tenant).await,
            Self::Tar(of) => Ok(of.list(tenant)),
        }
    }

    pub(super) async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        match self {
            Self::Objects(of) => of.read(key, range).await,
            Self::Tar(of) => of.read(key, range).await,
        }
    }

    /// Reads a small object.
    pub(super) async fn whole(&self, key: &str) -> Result<Bytes, ReadError> {
        match self {
            Self::Objects(of) => of.whole(key).await,
            Self::Tar(of) => of.read(key, 0..u64::MAX).await,
        }
    }
}

impl Target {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Objects(of) => of.name(),
            Self::Tar(of) => of.name().to_owned(),
        }
    }

    /// The largest part that is written at once, in bytes.
    pub(super) fn part_bytes(&self) -> u64 {
        match self {
            Self::Objects(of) => of.part_bytes(),
            Self::Tar(_) => 16 << 20,
        }
    }

    pub(super) async fn list(&self, tenant: &str) -> Result<Vec<Entry>> {
        match self {
            Self::Objects(of) => of.list(tenant).await,
            Self::Tar(of) => Ok(of.list(tenant)),
        }
    }

    pub(super) async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        match self {
            Self::Objects(of) => of.read(key, range).await,
            Self::Tar(of) => of.read(key, range).await,
        }
    }

    /// Reads a small object.
    pub(super) async fn whole(&self, key: &str) -> Result<Bytes, ReadError> {
        match self {
            Self::Objects(of) => of.whole(key).await,
            Self::Tar(of) => of.read(key, 0..u64::MAX).await,
        }
    }

    /// Writes an object at once.
    pub(super) async fn put(&self, entry: &Entry, bytes: Bytes) -> Result<()> {
        match self {
            Self::Objects(of) => of.put(&entry.key, bytes).await,
            Self::Tar(of) => {
                let mut upload = of.upload(entry).await?;
                upload.part(bytes).await?;
                upload.finish().await
            }
        }
    }

    /// Begins an object.
    pub(super) async fn upload(&self, entry: &Entry) -> Result<Writing<'_>> {
        match self {
            Self::Objects(of) => {
                let path = of.path(&entry.key)?;
                let upload = of.client().upload(&path).await;
                let upload = upload.map_err(|fault| failed("put", &path, fault))?;
                Ok(Writing::Object(upload, path))
            }
            Self::Tar(of) => Ok(Writing::Entry(of.upload(entry).await?)),
        }
    }

    /// Everything was copied.
    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Self::Objects(_) => Ok(()),
            Self::Tar(of) => of.close().await,
        }
    }

    /// Size of an object; None if it does not exist.
    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>> {
        match self {
            Self::Objects(of) => of.size(key).await,
            Self::Tar(of) => Ok(of.size(key)),
        }
    }

    /// Deletes objects of a piece that is not going to exist.
    pub(super) async fn forget(&self, keys: &[String]) {
        match self {
            Self::Objects(of) => of.forget(keys).await,
            Self::Tar(_) => {}
        }
    }
}

impl Writing<'_> {
    pub(super) async fn part(&mut self, bytes: Bytes) -> Result<()> {
        match self {
            Self::Object(upload, path) => {
                let put = upload.part(bytes).await;
                put.map_err(|fault| failed("put", path, fault))
            }
            Self::Entry(upload) => upload.part(bytes).await,
        }
    }

    pub(super) async fn finish(self) -> Result<()> {
        match self {
            Self::Object(upload, path) => {
                let put = upload.finish().await;
                put.map_err(|fault| failed("put", &path, fault))
            }
            Self::Entry(upload) => upload.finish().await,
        }
    }

    pub(super) async fn abort(self) -> Result<()> {
        match self {
            Self::Object(upload, _) => {
                upload.abort().await;
                Ok(())
            }
            Self::Entry(upload) => upload.abort().await,
        }
    }
}
