//! The fleet as this process knows it: the reports of all live processes and the last runs of
//! periodic members, with their ages.
//!
//! The database stamps reports and runs with its own clock, so their ages are computed with that clock
//! too. Between two reads of the database its time is extrapolated by the monotonic clock of this host.
//! The wall clock of a host never counts.

use crate::control::{Control, Database, locked};
use crate::report::Report;
use davy_base::Timestamp;
use davy_store::Tick;
use std::time::Duration;

/// A process that has not reported for this long counts as ended.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// The age at which the reports of other processes are read again.
const FLEET_AGE: Duration = Duration::from_millis(500);

/// The fleet at a moment.
pub(crate) struct FleetView {
    /// The report of every live process, this one's first.
    pub(crate) reports: Vec<AgedReport>,
    /// The last runs of periodic members.
    pub(crate) ticks: Vec<Tick>,
    /// The moment by the database's clock.
    pub(crate) now: Timestamp,
}

/// A report and the time since the database received it.
pub(crate) struct AgedReport {
    pub(crate) report: Report,
    pub(crate) age: Duration,
}

impl Control {
    /// The reports of every live process and the last runs of periodic members. While the database is
    /// unreachable, the ones read last.
    pub(crate) async fn fleet(&self) -> FleetView {
        self.refresh().await;
        let own = AgedReport {
            report: self.report(),
            age: Duration::ZERO,
        };
        let id = own.report.id.clone();
        let fleet = locked(&self.0.fleet);
        let now = fleet.now(self.0.clock.monotonic());
        let others = fleet
            .reports
            .iter()
            .filter(|(_, report)| report.id != id)
            .map(|(seen_at, report)| AgedReport {
                report: report.clone(),
                age: now.since(*seen_at),
            });
        FleetView {
            reports: std::iter::once(own).chain(others).collect(),
            ticks: fleet.ticks.clone(),
            now,
        }
    }

    async fn refresh(&self) {
        let monotonic = self.0.clock.monotonic();
        let is_fresh = locked(&self.0.fleet)
            .tried_at
            .is_some_and(|at| monotonic.saturating_sub(at) < FLEET_AGE);
        if is_fresh || self.database() != Database::Up {
            return;
        }
        locked(&self.0.fleet).tried_at = Some(monotonic);
        let store = &self.0.store;
        let read = async {
            let rows = store.live_processes(SILENCE).await?;
            let ticks = store.ticks().await?;
            // Last, so that nothing read is newer than this time.
            Ok::<_, davy_store::Error>((rows, ticks, store.now().await?))
        };
        let read = read.await;
        self.observe_database(&read);
        match read {
            Ok((rows, ticks, now)) => {
                // A report of another version of Davy may have another shape and is skipped.
                let reports = rows.iter().filter_map(|row| {
                    let report = serde_json::from_str(row.report.as_deref()?).ok()?;
                    Some((Timestamp::from_millis(row.seen_at), report))
                });
                let mut fleet = locked(&self.0.fleet);
                fleet.reports = reports.collect();
                fleet.ticks = ticks;
                fleet.read_at = Some((now, self.0.clock.monotonic()));
            }
            Err(error) => tracing::warn!(%error, "cannot read the reports of other processes"),
        }
    }
}

#[cfg(test)]
mod tests;
