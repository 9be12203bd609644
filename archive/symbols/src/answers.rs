//! What servers of debuginfod have answered.

use davy_archive::MissingBuild;
use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum number of builds that are remembered.
const REMEMBERED: usize = 10_000;

/// Builds that are not fetched again before a time of the monotonic clock.
#[derive(Default)]
pub(crate) struct Answers(BTreeMap<MissingBuild, Duration>);

impl Answers {
    pub(crate) fn is_known(&self, build: &MissingBuild, now: Duration) -> bool {
        self.0.get(build).is_some_and(|until| now < *until)
    }

    pub(crate) fn note(&mut self, build: MissingBuild, until: Duration, now: Duration) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, until| now < *until);
        }
        if self.0.len() < REMEMBERED {
            self.0.insert(build, until);
        }
    }
}
