//! Presence objects of members that share work through the bucket, as compactors do, but notice within a minute that one
//! of them is gone.
//!
//! Nothing depends on it for correctness: members that disagree do the same work twice.

use crate::bucket::Bucket;
use crate::error::Result;
use crate::plan::share::is_own;
use bytes::Bytes;
use davy_base::{Clock, Timestamp};
use object_store::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two writes of the own presence object.
pub const REFRESH: Duration = Duration::from_secs(15);
/// Time after which a member whose presence object was not written counts as gone.
const PRESENT: Duration = Duration::from_mins(1);
/// Time after which the presence object of a member that is gone is deleted.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// How long leaving may take.
const LEAVE: Duration = Duration::from_secs(3);

/// The presence of one member among those of its kind.
#[derive(Clone)]
pub struct Presence {
    bucket: Arc<Bucket>,
    clock: Clock,
    folder: &'static str,
    own: String,
    /// The names of all that are present; empty until the first refresh.
    present: Arc<Mutex<Vec<String>>>,
}

impl Presence {
    /// `folder` begins with a dot, so that it is the name of no tenant; `own` is unique.
    pub(crate) fn new(
        bucket: Arc<Bucket>,
        clock: Clock,
        folder: &'static str,
        own: String,
    ) -> Self {
        Self {
            bucket,
            clock,
            folder,
            own,
            present: Arc::default(),
        }
    }

    fn folder(&self) -> Path {
        self.bucket.keys.root().join(self.folder)
    }

    /// Writes the own presence object and lists those of all. If that fails, what was known remains; before that, the
    /// member owns nothing.
    pub async fn refresh(&self) {
        match self.see().await {
            Ok(present) => *self.lock() = present,
            Err(error) => tracing::warn!(folder = self.folder, %error, "presence unknown"),
        }
    }

    async fn see(&self) -> Result<Vec<String>> {
        let folder = self.folder();
        let own = folder.clone().join(self.own.as_str());
        self.bucket.put(&own, Bytes::new()).await?;
        let objects = self.bucket.list(&folder).await?;
        let seen: Vec<(String, Timestamp)> = objects
            .iter()
            .filter_map(|object| {
                let at = Timestamp::from_millis(object.last_modified.timestamp_millis());
                Some((object.location.filename()?.to_owned(), at))
            })
            .collect();
        let last = seen.iter().map(|(_, at)| *at).max();
        let mut present = vec![self.own.clone()];
        for (name, at) in seen {
            let age = last.map_or(Duration::ZERO, |last| last.since(at));
            if age > FORGOTTEN {
                self.bucket.delete(&folder.clone().join(name)).await?;
            } else if age <= PRESENT && name != self.own {
                present.push(name);
            }
        }
        present.sort();
        Ok(present)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // No holder panics.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this member does the work with this key.
    pub fn owns(&self, key: &str) -> bool {
        let present = self.lock();
        !present.is_empty() && is_own(&present, &self.own, key, Duration::ZERO)
    }

    /// How many are present.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Deletes the presence object, so that others take over at their next refresh. Failure only delays them.
    pub async fn leave(&self) {
        let key = self.folder().join(self.own.as_str());
        let _ = self.clock.timeout(LEAVE, self.bucket.delete(&key)).await;
    }
}
