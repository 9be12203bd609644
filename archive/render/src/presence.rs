//! Presence objects, by which renderers see each other in the bucket, and share work as compactors do.

use crate::error::Result;
use bytes::Bytes;
use davy_archive::bucket::Bucket;
use davy_archive::plan::share::{PRESENT, is_own, present};
use davy_base::{Clock, Timestamp};
use object_store::path::Path;
use std::time::Duration;

/// The folder of presence objects. No tenant has its name, because names of tenants never begin with a dot.
const RENDERERS: &str = ".renderers";
/// Time after which the presence object of a renderer that is gone is deleted.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Whose work is done.
#[derive(Clone, Debug)]
pub(crate) enum Share {
    /// All of it, for commands and tests.
    All,
    /// That of this renderer.
    Own { own: String, renderers: Vec<String> },
}

impl Share {
    /// Whether the work with this key is done, which is due since `since`.
    pub(crate) fn contains(&self, key: &str, since: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Own { own, renderers } => is_own(renderers, own, key, now.since(since)),
        }
    }
}

fn folder(bucket: &Bucket) -> Path {
    bucket.keys.root().join(RENDERERS)
}

/// Writes the presence object of this renderer and lists those of all. If that fails, the renderer does all work.
pub(crate) async fn share(bucket: &Bucket, own: &str) -> Share {
    match see(bucket, own).await {
        Ok(renderers) => Share::Own {
            own: own.to_owned(),
            renderers,
        },
        Err(error) => {
            tracing::warn!(%error, "presence of renderers unknown");
            Share::All
        }
    }
}

async fn see(bucket: &Bucket, own: &str) -> Result<Vec<String>> {
    let folder = folder(bucket);
    bucket.put(&folder.clone().join(own), Bytes::new()).await?;
    let objects = bucket.list(&folder).await?;
    let seen: Vec<(String, Timestamp)> = objects
        .iter()
        .filter_map(|object| {
            let at = Timestamp::from_millis(object.last_modified.timestamp_millis());
            Some((object.location.filename()?.to_owned(), at))
        })
        .collect();
    let last = seen.iter().map(|(_, at)| *at).max();
    for (name, at) in &seen {
        if last.is_some_and(|last| last.since(*at) > FORGOTTEN) {
            bucket.delete(&folder.clone().join(name.as_str())).await?;
        }
    }
    Ok(present(&seen))
}

/// Deletes the presence object, so that others take over at once. Failure only delays them.
pub(crate) async fn leave(bucket: &Bucket, own: &str, clock: &Clock) {
    let key = folder(bucket).join(own);
    let _ = clock.timeout(PRESENT / 100, bucket.delete(&key)).await;
}
