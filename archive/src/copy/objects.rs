//! A bucket that is copied from or to.

use super::piece::Entry;
use crate::bucket::ReadError;
use crate::bucket::fault::{failed, unread};
use crate::error::{Error, Result};
use crate::key::{Keys, Tenant};
use bytes::Bytes;
use davy_bucket::Client;
use object_store::path::Path;
use std::ops::Range;
use std::sync::Arc;

/// A bucket.
#[derive(Clone)]
pub(super) struct Objects {
    client: Arc<Client>,
    keys: Keys,
}

/// The folder of published tables, which are not copied.
const TABLES: &str = "table";

impl Objects {
    pub(super) fn new(client: Arc<Client>, keys: Keys) -> Self {
        Self { client, keys }
    }

    /// Its address, for messages.
    pub(super) fn name(&self) -> String {
        let root = self.client.bucket().url.root();
        format!("{root}/{}", self.keys.root())
            .trim_end_matches('/')
            .to_owned()
    }

    pub(super) fn part_bytes(&self) -> u64 {
        self.client.part_bytes() as u64
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The path of an object.
    pub(super) fn path(&self, key: &str) -> Result<Path> {
        let root = self.keys.root();
        let path = match root.as_ref() {
            "" => Path::parse(key),
            root => Path::parse(format!("{root}/{key}")),
        };
        path.map_err(|error| Error::invalid(format!("invalid key {key:?}: {error}")))
    }

    /// The tenants.
    pub(super) async fn tenants(&self) -> Result<Vec<String>> {
        let root = self.keys.root();
        let names = self.client.folders(&root).await;
        let names = names.map_err(|fault| failed("list", &root, fault))?;
        Ok(names
            .into_iter()
            .filter(|name| Tenant::from_key(name).is_some())
            .collect())
    }

    /// The objects of a tenant.
    pub(super) async fn list(&self, tenant: &str) -> Result<Vec<Entry>> {
        let root = self.keys.root();
        let skipped = root.parts().count();
        let mut entries = Vec::new();
        let folder = self.path(tenant)?;
        let folders = self.client.folders(&folder).await;
        let folders = folders.map_err(|fault| failed("list", &folder, fault))?;
        for of in folders.iter().filter(|of| *of != TABLES) {
            let folder = self.path(&format!("{tenant}/{of}"))?;
            let objects = self.client.list(&folder).await;
            for object in objects.map_err(|fault| failed("list", &folder, fault))? {
                let parts: Vec<_> = object.location.parts().skip(skipped).collect();
                let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
                entries.push(Entry {
                    key: parts.join("/"),
                    size: object.size,
                    modified: object.last_modified.timestamp().unsigned_abs(),
                });
            }
        }
        Ok(entries)
    }

    /// Reads a range of an object.
    pub(super) async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ReadError> {
        if range.is_empty() {
            return self.whole(key).await;
        }
        let path = self.path(key)?;
        let read = self.client.get_range(&path, range).await;
        read.map_err(|fault| unread(&path, fault))
    }

    /// Reads an object.
    pub(super) async fn whole(&self, key: &str) -> Result<Bytes, ReadError> {
        let path = self.path(key)?;
        let read = self.client.get(&path).await;
        read.map_err(|fault| unread(&path, fault))
    }

    /// Writes an object.
    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(key)?;
        let put = self.client.put(&path, bytes).await;
        put.map_err(|fault| failed("put", &path, fault))
    }

    /// Size of an object; None if it does not exist.
    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.path(key)?;
        match self.client.head(&path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(fault) => match unread(&path, fault) {
                ReadError::Gone => Ok(None),
                ReadError::Failed(error) => Err(error),
            },
        }
    }

    /// Deletes objects of a piece that is not going to exist. What stays behind if this fails costs space only.
    pub(super) async fn forget(&self, keys: &[String]) {
        let paths: Vec<Path> = keys.iter().filter_map(|key| self.path(key).ok()).collect();
        let _ = self.client.delete_many(&paths).await;
    }
}
