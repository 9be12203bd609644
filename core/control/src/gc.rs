//! Periodic members that delete old rows from the database.

mod workload;

pub use workload::{Collector, CollectorMetrics, collector};

use crate::control::Control;
use crate::periodic::{Plan, periodic};
use davy_runtime::Member;
use davy_store::Store;
use std::time::Duration;

/// How long processes are kept after they were last seen.
const PROCESS_RETENTION: Duration = Duration::from_hours(30 * 24);
/// How long audit entries are kept: two years, longer than profiles.
const AUDIT_RETENTION: Duration = Duration::from_hours(731 * 24);
/// How long a run may take.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// A member (`gc.processes`) that deletes processes that stopped, or were last seen, 30 days ago.
pub fn processes(control: &Control, store: Store, name: &str, interval: Duration) -> Member {
    let plan = Plan {
        name: name.to_owned(),
        interval,
        run_limit: RUN_LIMIT,
    };
    periodic(control, store, plan, |run| async move {
        let deleted = run.store.delete_silent_processes(PROCESS_RETENTION).await?;
        if deleted > 0 {
            tracing::info!(deleted, "old processes deleted");
        }
        Ok(())
    })
}

/// A member (`gc.audit`) that deletes audit entries that are two years old.
pub fn audit(control: &Control, store: Store, name: &str, interval: Duration) -> Member {
    let plan = Plan {
        name: name.to_owned(),
        interval,
        run_limit: RUN_LIMIT,
    };
    periodic(control, store, plan, |run| async move {
        let deleted = run.store.delete_old_audit(AUDIT_RETENTION).await?;
        if deleted > 0 {
            tracing::info!(deleted, "old audit entries deleted");
        }
        Ok(())
    })
}
