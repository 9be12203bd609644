//! Heap profiles that an operator took of a process, kept as they are.
//!
//! A capture is two objects: the profile, and a document that says what it is, which is written last. It exists if its
//! document does, and is kept as long as day blocks.

use crate::blocking::blocking;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Day, Tenant};
use bytes::Bytes;
use davy_base::{Clock, Random};
use davy_profile::{Limits, gzip, pprof};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use ulid::Ulid;

/// The version of the documents.
const VERSION: u32 = 1;
/// Documents that are read at the same time.
const CONCURRENT: usize = 16;
/// Maximum size of a profile in memory, in bytes.
const BYTES: usize = 256 << 20;

/// The process of which a capture was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedProcess {
    /// The id of the process, new at each start.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The machine's name.
    pub host: String,
    /// The unix process id.
    pub pid: u32,
}

/// Who took a capture, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCapture {
    /// The operator.
    pub operator: String,
    /// The reason; may be empty.
    pub why: String,
    /// The member that the operator looked at, or "".
    pub member: String,
    /// Its operation, or "".
    pub op: String,
    /// The process.
    pub process: CapturedProcess,
}

/// A capture, as its document describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The version of the document.
    pub version: u32,
    /// Its id, whose time is that of the capture.
    pub id: String,
    /// When it was taken, in milliseconds since 1970.
    pub at: i64,
    /// The operator.
    pub operator: String,
    /// The reason; may be empty.
    pub why: String,
    /// The member that the operator looked at, or "".
    pub member: String,
    /// Its operation, or "".
    pub op: String,
    /// The process.
    pub process: CapturedProcess,
    /// The size of the stored profile, in bytes.
    pub bytes: u64,
    /// The live heap, in bytes.
    pub live_bytes: i64,
    /// The number of samples.
    pub samples: u64,
}

/// Keeps captures in the bucket. Cheap to clone.
#[derive(Clone)]
pub struct Captures {
    bucket: Arc<Bucket>,
    clock: Clock,
    random: Arc<Mutex<Random>>,
}

impl Captures {
    /// The captures of an archive.
    pub(crate) fn new(bucket: Arc<Bucket>, clock: Clock, random: Arc<Mutex<Random>>) -> Self {
        Self {
            bucket,
            clock,
            random,
        }
    }

    /// Stores a heap profile. Returns when it is in the bucket.
    pub async fn store(&self, tenant: &Tenant, new: NewCapture, heap: Bytes) -> Result<Capture> {
        let now = self.clock.now();
        // No holder panics.
        let random = self
            .random
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u128();
        let id = Ulid::from_parts(now.millis().unsigned_abs(), random);
        let (heap, live_bytes, samples) =
            blocking("read a heap profile", move || read(heap)).await??;
        let capture = Capture {
            version: VERSION,
            id: id.to_string(),
            at: now.millis(),
            operator: new.operator,
            why: new.why,
            member: new.member,
            op: new.op,
            process: new.process,
            bytes: heap.len() as u64,
            live_bytes,
            samples,
        };
        let text = serde_json::to_vec_pretty(&capture).map_err(Error::corrupt_by)?;
        let keys = &self.bucket.keys;
        let profile = keys.capture(tenant, id, PROFILE);
        self.bucket.put(&profile, heap).await?;
        let document = keys.capture(tenant, id, DOCUMENT);
        self.bucket.put(&document, Bytes::from(text)).await?;
        Ok(capture)
    }

    /// The last captures of a tenant, newest first, at most `limit`, and a sentence for each that cannot be read.
    pub async fn list(&self, tenant: &Tenant, limit: usize) -> Result<(Vec<Capture>, Vec<String>)> {
        let keys = &self.bucket.keys;
        let mut days = self.bucket.folders(&keys.captures(tenant)).await?;
        // Dates sort by time.
        days.sort_by(|a, b| b.cmp(a));
        let (mut captures, mut faults) = (Vec::new(), Vec::new());
        for day in days.iter().filter_map(|day| Day::parse(day)) {
            let left = limit.saturating_sub(captures.len());
            if left == 0 {
                break;
            }
            let objects = self.bucket.list(&keys.captures_of_day(tenant, day)).await?;
            let names = objects
                .iter()
                .filter_map(|object| object.location.filename());
            let mut ids: Vec<Ulid> = names
                .filter_map(|name| name.strip_suffix(DOCUMENT)?.parse().ok())
                .collect();
            ids.sort_by(|a, b| b.cmp(a));
            ids.truncate(left);
            let read = ids.into_iter().map(|id| self.document(tenant, id));
            let mut read = futures_util::stream::iter(read).buffered(CONCURRENT);
            while let Some(found) = read.next().await {
                match found {
                    Ok(capture) => captures.extend(capture),
                    Err(error) => faults.push(error.message),
                }
            }
        }
        Ok((captures, faults))
    }

    async fn document(&self, tenant: &Tenant, id: Ulid) -> Result<Option<Capture>> {
        let key = self.bucket.keys.capture(tenant, id, DOCUMENT);
        match self.bucket.get_current(&key).await {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Error::caused(ErrorKind::Internal, key.to_string(), error)),
            // Deleted meanwhile.
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// A capture and its profile, a gzipped pprof.
    pub async fn get(&self, tenant: &Tenant, id: &str) -> Result<(Capture, Bytes)> {
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                format!("capture {id:?} not found; /api/v1/captures lists the captures"),
            )
        };
        let id: Ulid = id.parse().map_err(|_| missing())?;
        let capture = self.document(tenant, id).await?.ok_or_else(missing)?;
        let key = self.bucket.keys.capture(tenant, id, PROFILE);
        match self.bucket.get_current(&key).await {
            Ok(profile) => Ok((capture, profile)),
            Err(ReadError::Gone) => Err(missing()),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }
}

/// The ends of the names of both objects.
pub(crate) const PROFILE: &str = ".pb.gz";
pub(crate) const DOCUMENT: &str = ".json";

/// The profile, compressed, its live heap and its number of samples. Refuses what is not a heap profile.
fn read(heap: Bytes) -> Result<(Bytes, i64, u64)> {
    let limits = Limits {
        bytes: BYTES,
        ..Limits::default()
    };
    let invalid = |error| Error::caused(ErrorKind::Unprocessable, "invalid heap profile", error);
    let unpacked = gzip::unpack(&heap, &limits).map_err(invalid)?;
    let profile = pprof::decode(&unpacked, &limits).map_err(invalid)?;
    let live = profile
        .sample_types
        .iter()
        .position(|kind| profile.text(kind.kind) == "inuse_space");
    let live = live.ok_or_else(|| {
        Error::new(
            ErrorKind::Unprocessable,
            "the process returned a profile without the live heap; its heap is profiled only with jemalloc",
        )
    })?;
    let samples = profile.sample_count();
    let values = (0..samples).map(|sample| profile.values(sample)[live]);
    let live_bytes = values.fold(0i64, i64::saturating_add);
    let packed = if gzip::is_gzip(&heap) {
        heap
    } else {
        Bytes::from(gzip::compress(&unpacked))
    };
    Ok((packed, live_bytes, samples as u64))
}
