//! The reports and runs of the fleet that were last read from the database.

use crate::report::Report;
use davy_base::Timestamp;
use davy_store::Tick;
use std::time::Duration;

/// The data of the last read of the database.
#[derive(Default)]
pub(crate) struct FleetCache {
    /// The monotonic time of this host at the last attempt.
    pub(crate) tried_at: Option<Duration>,
    /// The database's time at the last successful read, and the monotonic time of this host then.
    pub(crate) read_at: Option<(Timestamp, Duration)>,
    /// Reports with the database's time of their arrival.
    pub(crate) reports: Vec<(Timestamp, Report)>,
    pub(crate) ticks: Vec<Tick>,
}

impl FleetCache {
    /// The database's time at `monotonic` of this host. Before the first read there is nothing to
    /// compare with it.
    pub(crate) fn now(&self, monotonic: Duration) -> Timestamp {
        self.read_at
            .map_or(Timestamp::default(), |(database, host)| {
                database.plus(monotonic.saturating_sub(host))
            })
    }
}
