//! One history, from its seed to its outcome.

use crate::course;
use crate::executor::{Executor, OUTSIDE, Step};
use crate::fleet::Fleet;
use crate::holders::Holders;
use crate::scenario::Scenario;
use crate::store::SimStore;
use crate::trace::{Detail, Trace};
use crate::world::{Totals, World};
use davy_archive::key::{Keys, Tenant};
use davy_archive::simulation::{Mutant, simulate};
use davy_base::{Clock, Random};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Maximum number of steps of a history.
const STEPS_MAX: u64 = 5_000_000;

/// How a history ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What is wrong; `None` if nothing is.
    pub failure: Option<String>,
    /// What it did.
    pub totals: Totals,
    /// Hash of the trace and of the objects at the end, if they were kept.
    pub hash: u128,
    /// The trace, if it was kept.
    pub lines: Vec<String>,
}

/// Runs the history of a seed. Everything in it happens on this thread and depends on the arguments alone.
pub fn run(seed: u64, broken: Option<Mutant>, detail: Detail) -> Outcome {
    simulate(broken);
    let trace = Trace::new(detail);
    let caught = catch_unwind(AssertUnwindSafe(|| run_to_end(seed, &trace)));
    let (failure, totals) = caught.unwrap_or_else(|payload| {
        let failure = format!("panic: {}", message(&*payload));
        (Some(failure), Totals::default())
    });
    Outcome {
        seed,
        failure,
        totals,
        hash: trace.hash(),
        lines: trace.lines(),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message (the panic payload is not a string)")
}

fn run_to_end(seed: u64, trace: &Trace) -> (Option<String>, Totals) {
    let mut random = Random::seeded(seed);
    let scenario = Rc::new(Scenario::draw(&mut random));
    let mut next = || Random::seeded(random.next_u64());
    let clock = Clock::manual(scenario.start);
    trace.event(clock.now(), || format!("{scenario:#?}"));
    let executor = Rc::new(Executor::new(clock.clone(), next()));
    let needed = scenario.levels.days.saturating_sub(scenario.skew());
    let holders = Holders::new(Keys::new(""), Tenant::anonymous(), needed);
    let store = SimStore::new(
        clock.clone(),
        next(),
        scenario.faults.clone(),
        trace.clone(),
        holders,
    );
    let fleet = Rc::new(Fleet::new(
        Rc::clone(&executor),
        store.clone(),
        clock.clone(),
        trace.clone(),
        Rc::clone(&scenario),
        next(),
    ));
    let world = Rc::new(World::new(
        Rc::clone(&executor),
        clock,
        store,
        fleet,
        scenario,
        trace.clone(),
        next(),
    ));
    let is_over = Rc::new(Cell::new(false));
    let (course, over) = (course::run(Rc::clone(&world)), Rc::clone(&is_over));
    executor.spawn(OUTSIDE, async move {
        course.await;
        over.set(true);
    });
    let failure = steps(&world, &is_over);
    for (key, bytes) in world.store.content() {
        trace.digest(key.as_bytes());
        trace.digest(&bytes);
    }
    let totals = world.totals();
    // The tasks hold the world, which holds them.
    executor.clear();
    (failure, totals)
}

/// Runs steps until the history is over or something is wrong.
fn steps(world: &Rc<World>, is_over: &Cell<bool>) -> Option<String> {
    for _ in 0..STEPS_MAX {
        let step = world.executor.step();
        let failure = world.failure();
        if failure.is_some() || is_over.get() {
            return failure;
        }
        match step {
            Step::Ran(process) => {
                world.count(|totals| totals.steps += 1);
                if process != OUTSIDE {
                    world.fleet.disturb(process);
                }
            }
            Step::Waited(_) => {}
            Step::Idle => return Some("deadlock: every task waits without a timer".to_owned()),
        }
    }
    Some(format!("not finished after {STEPS_MAX} steps"))
}
