//! Changes of toggles that wait for the database.

use davy_store::ToggleChange;
use std::time::Duration;

/// A change that waits for the database.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) change: ToggleChange,
    /// When it was made, by the monotonic clock.
    pub(crate) made: Duration,
}

impl Pending {
    /// The change, as it is to be written at `now` of the monotonic clock.
    pub(crate) fn change(self, now: Duration) -> ToggleChange {
        ToggleChange {
            age: now.saturating_sub(self.made),
            ..self.change
        }
    }
}
