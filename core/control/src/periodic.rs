//! Periodic members: each runs once in the fleet at each tick.
//!
//! The process that claims a tick holds a lease with a fencing token. A run must end before its lease
//! does, so a hung run frees the tick by itself; a holder that lost the database finds its token
//! outdated when it finishes. A wake-up during a run starts another run after it.

use crate::control::{Control, Database};
use davy_runtime::{Context, Error, Member, MemberKind};
use davy_store::{Claim, Outcome, Store};
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// When a periodic member runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the member and of its tick.
    pub name: String,
    /// From the start of one run to the start of the next.
    pub interval: Duration,
    /// How long a run may take.
    pub run_limit: Duration,
}

/// The arguments of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The database, on the budget of the member.
    pub store: Store,
    /// The fencing token; grows with each claim in the fleet.
    pub fence: i64,
}

/// How much longer a lease lasts than the run limit.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The shortest and the longest pause between two checks for a due tick.
const LOOK_MIN: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long a run may go on during a drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The operation of the runs.
const OP: &str = "tick";

/// A member that runs `work` at each tick. An error or panic of `work` is the outcome of that run; the
/// member itself keeps running.
pub fn periodic<F, R>(control: &Control, store: Store, plan: Plan, work: F) -> Member
where
    F: Fn(Run) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let control = control.clone();
    let name = plan.name.clone();
    Member::new(&name, MemberKind::Periodic, move |context: Context| {
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
            () = wait_for_database(&mut database, control, &plan.name) => {}
            () = drain.cancelled() => return,
        }
        // Not cancelled by the drain: a tick that is claimed and not run is delayed by a whole lease.
        if let Some(claim) = claim(control, store, plan).await {
            run(context, control, store, plan, work, claim).await;
            continue;
        }
        tokio::select! {
            () = control.0.clock.sleep(look) => {}
            () = drain.cancelled() => return,
        }
    }
}

/// Waits while the database is unreachable, with a note on the member.
async fn wait_for_database(
    database: &mut watch::Receiver<Database>,
    control: &Control,
    name: &str,
) {
    let state = database.borrow_and_update().clone();
    if state == Database::Up {
        return;
    }
    if let Database::Lost(since, _) | Database::Connecting(since, _) = state {
        control.note(
            name,
            Some(format!("paused since {since}: database unreachable")),
        );
    }
    // Can't fail: the borrowed control holds the sender.
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
    control.observe_database(&claimed);
    claimed.unwrap_or_else(|error| {
        tracing::warn!(member = plan.name, %error, "cannot claim a tick");
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
    let clock = &control.0.clock;
    let run = Run {
        store: store.clone(),
        fence: claim.fence,
    };
    // A separate task, so that a panic becomes the outcome of the run.
    let mut task = context.spawn(OP, work(run));
    let drained = async {
        context.draining().await;
        clock.sleep(DRAIN_LIMIT).await;
    };
    let (outcome, error) = tokio::select! {
        ended = clock.timeout(plan.run_limit, &mut task) => match ended {
            Ok(Ok(Ok(()))) => (Outcome::Done, None),
            Ok(Ok(Err(error))) => (Outcome::Failed, Some(error.to_string())),
            Ok(Err(error)) => (Outcome::Failed, Some(error.to_string())),
            Err(_) => {
                let limit = davy_profile::units::duration(plan.run_limit);
                (Outcome::TimedOut, Some(format!("timed out after {limit}")))
            }
        },
        () = drained => (Outcome::Stopped, None),
    };
    task.abort();
    if let Some(error) = &error {
        let outcome = outcome.as_str();
        tracing::warn!(member = plan.name, outcome, error, "run failed");
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
            "run outlived its lease; another process has claimed the tick"
        ),
        Err(error) => {
            tracing::warn!(member = plan.name, %error, "cannot record the end of a run");
            control.observe_database(&Err::<(), _>(error));
        }
    }
}
