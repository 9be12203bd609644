//! The objects of the simulated store, and late listings of them.

use bytes::Bytes;
use davy_base::{Random, Timestamp};
use object_store::ObjectMeta;
use object_store::path::Path;
use std::collections::BTreeMap;
use std::time::Duration;

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) modified: Timestamp,
    /// When the key was created. Overwriting does not hide it from listings.
    created: Timestamp,
}

/// An object that was deleted, and that late listings still show.
#[derive(Clone, Debug)]
struct Ghost {
    size: u64,
    modified: Timestamp,
    deleted: Timestamp,
}

/// A change of an object.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Path, Bytes),
    Delete(Path),
}

/// All objects. Reads see every change at once; listings may be late.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    live: BTreeMap<Path, Object>,
    ghosts: BTreeMap<Path, Ghost>,
    /// Pending changes, by completion time and request number.
    in_flight: BTreeMap<(Timestamp, u64), Change>,
    requests: u64,
}

impl Objects {
    pub(crate) fn get(&self, key: &Path) -> Option<&Object> {
        self.live.get(key)
    }

    /// Every object, by key.
    pub(crate) fn all(&self) -> &BTreeMap<Path, Object> {
        &self.live
    }

    /// Schedules a change.
    pub(crate) fn send(&mut self, change: Change, done: Timestamp) {
        self.requests += 1;
        self.in_flight.insert((done, self.requests), change);
    }

    /// The next change that is due.
    pub(crate) fn arrived(&mut self, now: Timestamp) -> Option<(Timestamp, Change)> {
        let first = self.in_flight.first_entry()?;
        let at = first.key().0;
        (at <= now).then(|| (at, first.remove()))
    }

    /// Changes an object. Returns whether there was one with this key.
    pub(crate) fn apply(&mut self, change: &Change, at: Timestamp) -> bool {
        match change {
            Change::Put(key, bytes) => {
                self.ghosts.remove(key);
                let before = self.live.get(key);
                let object = Object {
                    bytes: bytes.clone(),
                    modified: at,
                    created: before.map_or(at, |before| before.created),
                };
                self.live.insert(key.clone(), object).is_some()
            }
            Change::Delete(key) => {
                let Some(object) = self.live.remove(key) else {
                    return false;
                };
                let ghost = Ghost {
                    size: object.bytes.len() as u64,
                    modified: object.modified,
                    deleted: at,
                };
                self.ghosts.insert(key.clone(), ghost);
                true
            }
        }
    }

    /// A listing of the objects below a folder. It may lack changes that are younger than `lag`.
    pub(crate) fn list(
        &mut self,
        folder: &Path,
        now: Timestamp,
        lag: Duration,
        random: &mut Random,
    ) -> Vec<ObjectMeta> {
        let mut is_seen = |at: Timestamp| {
            let age = now.since(at);
            age >= lag || age.as_millis() as u64 >= random.below(lag.as_millis() as u64)
        };
        let is_below = |key: &Path| {
            let mut rest = key.prefix_match(folder).into_iter().flatten();
            rest.next().is_some()
        };
        let first = folder.clone()..;
        let mut listed = Vec::new();
        for (key, object) in self.live.range(first.clone()) {
            if !key.as_ref().starts_with(folder.as_ref()) {
                break;
            }
            if is_below(key) && is_seen(object.created) {
                listed.push(meta(key, object.bytes.len() as u64, object.modified));
            }
        }
        for (key, ghost) in self.ghosts.range(first) {
            if !key.as_ref().starts_with(folder.as_ref()) {
                break;
            }
            if is_below(key) && !is_seen(ghost.deleted) {
                listed.push(meta(key, ghost.size, ghost.modified));
            }
        }
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        listed
    }

    /// Removes deleted objects that no listing shows any more.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.ghosts.retain(|_, ghost| ghost.deleted > before);
    }
}

pub(crate) fn meta(key: &Path, size: u64, modified: Timestamp) -> ObjectMeta {
    ObjectMeta {
        location: key.clone(),
        last_modified: chrono::DateTime::from_timestamp_millis(modified.millis())
            .unwrap_or_default(),
        size,
        e_tag: None,
        version: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(objects: &mut Objects, minute: i64, lag: u64) -> Vec<String> {
        let now = Timestamp::from_seconds(minute * 60);
        let lag = Duration::from_mins(lag);
        let listed = objects.list(&Path::from("a"), now, lag, &mut Random::seeded(1));
        listed.iter().map(|of| of.location.to_string()).collect()
    }

    #[test]
    fn late_listing_may_lack_a_change_until_the_lag_is_over() {
        let mut objects = Objects::default();
        let put = Change::Put(Path::from("a/b"), Bytes::from_static(b"x"));
        objects.apply(&put, Timestamp::EPOCH);
        assert_eq!(keys(&mut objects, 0, 0), ["a/b"]);
        assert_eq!(keys(&mut objects, 0, 10), Vec::<String>::new());
        assert_eq!(keys(&mut objects, 10, 10), ["a/b"]);
        let delete = Change::Delete(Path::from("a/b"));
        assert!(objects.apply(&delete, Timestamp::from_seconds(1_200)));
        assert_eq!(keys(&mut objects, 20, 10), ["a/b"]);
        assert_eq!(keys(&mut objects, 30, 10), Vec::<String>::new());
        assert!(objects.get(&Path::from("a/b")).is_none());
    }

    #[test]
    fn listing_of_a_folder_does_not_match_longer_folder_names() {
        let mut objects = Objects::default();
        for key in ["a/b", "ab/c", "a"] {
            objects.apply(
                &Change::Put(Path::from(key), Bytes::new()),
                Timestamp::EPOCH,
            );
        }
        assert_eq!(keys(&mut objects, 0, 0), ["a/b"]);
    }
}
