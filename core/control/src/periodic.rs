//! Periodic members: each runs once in the whole fleet at each of its ticks.
//!
//! Whoever claims a tick holds a lease with a fencing token. A run has a time limit below that of its
//! lease, so a hung one frees the tick by itself; a holder that was cut off finds, at the end, that
//! its token is outdated. A wake-up that comes while a run is under way is remembered.

use crate::control::{Control, Database};
use davy_runtime::{Context, Error, Kind, Member};
use davy_store::{Claim, Outcome, Store};
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// A periodic member's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The member's name, which is the tick's too.
    pub name: String,
    /// From the start of one run to the start of the next.
    pub interval: Duration,
    /// How long a run may take.
    pub run_limit: Duration,
}

/// What a run is handed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The database, on the member's budget.
    pub store: Store,
    /// Grows with each claim of the tick in the fleet.
    pub fence: i64,
}

/// From the limit of a run to the end of its lease.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How often a member looks for its tick, at most and at least.
const LOOK_MIN: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long a run may go on after its process was asked to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The operation that runs are tagged with.
const OP: &str = "tick";

/// A member that runs `work` at each tick. The error of a run is its outcome; it is no fall.
pub fn periodic<F, R>(control: &Control, store: Store, plan: Plan, work: F) -> Member
where
    F: Fn(Run) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let control = control.clone();
    let name = plan.name.clone();
    Member::new(&name, Kind::Periodic, move |context: Context| {
        let (control, store, plan, work) =
            (control.clone(), store.clone(), plan.clone(), work.clone());
        async move {
            context.ready();
            ticking(&context, &control, &store, &plan, &work).await;
            control.note(&plan.name, None);
            Ok(())
        }
    })
}

async fn ticking<F, R>(context: &Context, control: &Control, store: &Store, plan: &Plan, work: &F)
where
    F: Fn(Run) -> R,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let look = (plan.interval / 10).clamp(LOOK_MIN, LOOK_MAX);
    let mut database = control.0.database.subscribe();
    let drain = context.drain();
    while !drain.is_cancelled() {
        tokio::select! {
            () = wait_for(&mut database, control, &plan.name) => {}
            () = drain.cancelled() => return,
        }
        // Not to be dropped half-way: a tick that was claimed and not run is late by its lease.
        if let Some(claim) = claim(control, store, plan).await {
            run(context, control, store, plan, work, claim).await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(look) => {}
            () = drain.cancelled() => return,
        }
    }
}

/// Waits while the database is down, and says so.
async fn wait_for(database: &mut watch::Receiver<Database>, control: &Control, name: &str) {
    let state = database.borrow_and_update().clone();
    if state == Database::Up {
        return;
    }
    if let Database::Lost(since, _) | Database::Connecting(since, _) = state {
        control.note(
            name,
            Some(format!(
                "paused since {since}: the database can't be reached"
            )),
        );
    }
    // The sender lives as long as the control that is borrowed here.
    let _ = database.wait_for(|state| *state == Database::Up).await;
    control.note(name, None);
}

async fn claim(control: &Control, store: &Store, plan: &Plan) -> Option<Claim> {
    let holder = control.identity().id.to_string();
    let claimed = async {
        let now = store.now().await?.millis();
        let lease = (plan.run_limit + LEASE_MARGIN).as_millis() as i64;
        let interval = plan.interval.as_millis() as i64;
        store.claim(&plan.name, &holder, now, interval, lease).await
    };
    let claimed = claimed.await;
    control.database_said(&claimed);
    claimed.unwrap_or_else(|error| {
        tracing::warn!(member = plan.name, %error, "a tick can't be claimed");
        None
    })
}

async fn run<F, R>(
    context: &Context,
    control: &Control,
    store: &Store,
    plan: &Plan,
    work: &F,
    claim: Claim,
) where
    F: Fn(Run) -> R,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let run = Run {
        store: store.clone(),
        fence: claim.fence,
    };
    // A task of its own: a panic in a run is that run's outcome.
    let mut task = context.spawn(OP, work(run));
    let drained = async {
        context.draining().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    let (outcome, error) = tokio::select! {
        ended = tokio::time::timeout(plan.run_limit, &mut task) => match ended {
            Ok(Ok(Ok(()))) => (Outcome::Done, None),
            Ok(Ok(Err(error))) => (Outcome::Failed, Some(error.to_string())),
            Ok(Err(error)) => (Outcome::Failed, Some(error.to_string())),
            Err(_) => {
                let limit = humantime::format_duration(plan.run_limit);
                (Outcome::TimedOut, Some(format!("it was not done within {limit}")))
            }
        },
        () = drained => (Outcome::Stopped, None),
    };
    task.abort();
    if let Some(error) = &error {
        let outcome = outcome.as_str();
        tracing::warn!(member = plan.name, outcome, error, "a run went wrong");
    }
    let finished = async {
        let now = store.now().await?.millis();
        store
            .finish(&plan.name, claim.fence, now, outcome, error.as_deref())
            .await
    };
    match finished.await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            member = plan.name,
            "a run outlived its lease; another process has the tick"
        ),
        Err(error) => {
            tracing::warn!(member = plan.name, %error, "the end of a run can't be written");
            control.database_said(&Err::<(), _>(error));
        }
    }
}
