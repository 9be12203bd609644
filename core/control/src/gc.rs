//! Removes what nobody needs any more from the database.

use crate::control::Control;
use crate::periodic::{Plan, periodic};
use davy_runtime::Member;
use davy_store::Store;
use std::time::Duration;

/// How long the start and the end of a process are remembered.
const PROCESSES_KEPT: Duration = Duration::from_hours(30 * 24);
/// How long it is remembered who changed what.
const AUDIT_KEPT: Duration = Duration::from_hours(731 * 24);
/// How long a run may take.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// The member `gc.processes`: forgets processes that ended, or fell silent, long ago.
pub fn processes(control: &Control, store: Store, interval: Duration) -> Member {
    let plan = Plan {
        name: "gc.processes".to_owned(),
        interval,
        run_limit: RUN_LIMIT,
    };
    periodic(control, store, plan, |run| async move {
        let before = run.store.now().await?.minus(PROCESSES_KEPT).millis();
        let forgotten = run.store.forget_processes(before).await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "old processes were forgotten");
        }
        Ok(())
    })
}

/// The member `gc.audit`: forgets changes from longer ago than profiles are kept.
pub fn audit(control: &Control, store: Store, interval: Duration) -> Member {
    let plan = Plan {
        name: "gc.audit".to_owned(),
        interval,
        run_limit: RUN_LIMIT,
    };
    periodic(control, store, plan, |run| async move {
        let before = run.store.now().await?.minus(AUDIT_KEPT).millis();
        let forgotten = run.store.forget_audit(before).await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "old changes were forgotten");
        }
        Ok(())
    })
}
