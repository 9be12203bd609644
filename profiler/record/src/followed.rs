//! Which processes of a cgroup are sampled already, where the kernel does not sample the cgroup by itself.

use crate::error::Error;
use rustc_hash::FxHashMap;

/// Listings in which a process may refuse to be sampled: one that is about to execute a program of another user can be
/// sampled only after that.
const ATTEMPTS_MAX: u32 = 20;

/// What is known of a process.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The last listing that had it, or before which it was started.
    seen: u64,
    /// Failed attempts to sample it; `None` if it is sampled.
    failed: Option<u32>,
}

/// The processes of a cgroup.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    by_pid: FxHashMap<u32, Known>,
    listings: u64,
    refused: u64,
    refusal: Option<Error>,
}

impl Followed {
    /// Notes a process whose parent is sampled, so it is sampled too.
    pub(crate) fn inherits(&mut self, pid: u32) {
        let seen = self.listings + 1;
        self.by_pid.insert(pid, Known { seen, failed: None });
    }

    /// Takes a listing of the processes; returns those to sample. Forgets those that have ended.
    pub(crate) fn listed(&mut self, pids: &[u32]) -> Vec<u32> {
        self.listings += 1;
        let seen = self.listings;
        let mut new = Vec::new();
        for pid in pids {
            let known = self.by_pid.entry(*pid).or_insert(Known {
                seen,
                failed: Some(0),
            });
            known.seen = known.seen.max(seen);
            if known.failed.is_some_and(|failed| failed < ATTEMPTS_MAX) {
                new.push(*pid);
            }
        }
        self.by_pid.retain(|_, known| known.seen >= seen);
        new
    }

    /// Notes that a process is sampled.
    pub(crate) fn sampled(&mut self, pid: u32) {
        if let Some(known) = self.by_pid.get_mut(&pid) {
            known.failed = None;
        }
    }

    /// Notes that a process cannot be sampled, and why. Returns the reason if the process will be tried again.
    pub(crate) fn failed(&mut self, pid: u32, error: Error) -> Option<Error> {
        let known = self.by_pid.get_mut(&pid)?;
        let failed = known.failed.unwrap_or(0) + 1;
        known.failed = Some(failed);
        if failed < ATTEMPTS_MAX {
            return Some(error);
        }
        self.refused += 1;
        self.refusal = Some(error);
        None
    }

    /// Processes that could not be sampled.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Why the last one of them could not be sampled.
    pub(crate) const fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_sampled_once_unless_its_pid_is_reused() {
        let mut followed = Followed::default();
        assert_eq!(followed.listed(&[1, 2]), [1, 2]);
        followed.sampled(1);
        followed.sampled(2);
        // Started by 1 between two listings, and listed once more after that.
        followed.inherits(3);
        assert_eq!(followed.listed(&[1, 2]), [0_u32; 0]);
        assert_eq!(followed.listed(&[1, 2, 3]), [0_u32; 0]);
        assert_eq!(followed.listed(&[3]), [0_u32; 0]);
        assert_eq!(followed.listed(&[1, 3]), [1]);
    }

    #[test]
    fn refused_process_is_tried_again_a_bounded_number_of_times_and_counted_once() {
        let mut followed = Followed::default();
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(followed.refused(), 0);
            assert_eq!(followed.listed(&[7]), [7]);
            let _reason = followed.failed(7, Error::NoProcess { pid: 7 });
        }
        assert_eq!(followed.listed(&[7]), [0_u32; 0]);
        assert_eq!(followed.refused(), 1);
        assert!(followed.refusal().is_some());
    }
}
