//! Which doomed volumes are used by something else that is doomed.

use std::collections::BTreeMap;

/// What each handle uses, and by how many each volume is used. A worker can have very many doomed handles, so nothing is
/// read again while they are destroyed one after the other.
#[derive(Debug, Default)]
pub(super) struct Uses {
    of: BTreeMap<String, Option<String>>,
    users: BTreeMap<String, usize>,
}

impl Uses {
    /// Adds a handle, with the volume that `read` returns. One that is there is not read again.
    pub(super) fn add(&mut self, handle: &str, read: impl FnOnce() -> Option<String>) {
        if self.of.contains_key(handle) {
            return;
        }
        let used = read();
        if let Some(used) = &used {
            *self.users.entry(used.clone()).or_default() += 1;
        }
        self.of.insert(handle.to_owned(), used);
    }

    /// Removes a handle: it no longer uses anything.
    pub(super) fn remove(&mut self, handle: &str) {
        if let Some(Some(used)) = self.of.remove(handle) {
            self.release(&used);
        }
    }

    /// Removes the handles that are not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self
            .of
            .keys()
            .filter(|handle| !is_kept(handle))
            .cloned()
            .collect();
        for handle in gone {
            self.remove(&handle);
        }
    }

    /// Whether something that is not destroyed yet uses a volume.
    pub(super) fn is_used(&self, volume: &str) -> bool {
        self.users.contains_key(volume)
    }

    fn release(&mut self, used: &str) {
        if let Some(users) = self.users.get_mut(used) {
            *users -= 1;
            if *users == 0 {
                self.users.remove(used);
            }
        }
    }
}
