//! Presence objects, by which archivers see each other in the bucket.

use super::compactor::Compactor;
use crate::error::Result;
use crate::plan::share::{PRESENT, is_own, order, present};
use bytes::Bytes;
use davy_base::Timestamp;
use object_store::path::Path;
use std::time::Duration;

/// Time after which the presence object of an archiver that is gone is deleted.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Whose work a round does.
#[derive(Clone, Debug)]
pub(super) enum Share {
    /// All of it, for commands and tests.
    All,
    /// That of this archiver.
    Own {
        /// Its name.
        own: String,
        /// The archivers that are present.
        archivers: Vec<String>,
    },
}

impl Share {
    /// The order in which this archiver does pieces of work with these keys that are due for a long time. That of others is
    /// another one, so that they do other pieces first.
    pub(super) fn order(&self, key: &str) -> u64 {
        match self {
            Self::All => 0,
            Self::Own { own, .. } => order(own, key),
        }
    }

    /// How many pieces of work that are due for a long time a round does.
    pub(super) fn long_due(&self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Own { .. } => 1,
        }
    }

    /// Whether the round does the work with this key, which is due since `since`.
    pub(super) fn contains(&self, key: &str, since: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Own { own, archivers } => is_own(archivers, own, key, now.since(since)),
        }
    }
}

impl Compactor {
    /// Writes the presence object of this archiver and lists those of all. If that fails, the archiver does all work.
    pub(super) async fn share(&self, own: &str) -> Share {
        match self.see(own).await {
            Ok(archivers) => {
                self.metrics.archivers.set(archivers.len() as i64);
                Share::Own {
                    own: own.to_owned(),
                    archivers,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "presence of archivers unknown");
                Share::All
            }
        }
    }

    async fn see(&self, own: &str) -> Result<Vec<String>> {
        let keys = &self.bucket.keys;
        self.bucket.put(&keys.archiver(own), Bytes::new()).await?;
        let name = |path: &Path| path.filename().map(str::to_owned);
        let objects = self.bucket.list(&keys.archivers()).await?;
        let seen: Vec<(String, Timestamp)> = objects
            .iter()
            .filter_map(|object| {
                let at = Timestamp::from_millis(object.last_modified.timestamp_millis());
                Some((name(&object.location)?, at))
            })
            .collect();
        let last = seen.iter().map(|(_, at)| *at).max();
        for (name, at) in &seen {
            if last.is_some_and(|last| last.since(*at) > FORGOTTEN) {
                self.bucket.delete(&keys.archiver(name)).await?;
            }
        }
        Ok(present(&seen))
    }

    /// Deletes the presence object, so that others take over at once. Failure only delays them.
    pub(super) async fn leave(&self, own: &str) {
        let key = self.bucket.keys.archiver(own);
        let deleted = self.bucket.delete(&key);
        let _ = self.options.clock.timeout(PRESENT / 100, deleted).await;
    }
}
