//! The shared state of a history.

use crate::executor::Executor;
use crate::fleet::Fleet;
use crate::scenario::Scenario;
use crate::store::SimStore;
use crate::trace::Trace;
use crate::windows::{Answer, Tolerance, Window, check};
use davy_base::{Clock, Random, Timestamp};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A history in progress.
pub(crate) struct World {
    /// Runs its tasks.
    pub(crate) executor: Rc<Executor>,
    /// The true time.
    pub(crate) clock: Clock,
    /// The store.
    pub(crate) store: SimStore,
    /// The archivers.
    pub(crate) fleet: Rc<Fleet>,
    /// The scenario.
    pub(crate) scenario: Rc<Scenario>,
    /// The trace.
    pub(crate) trace: Trace,
    /// The windows, as their clients know them.
    pub(crate) windows: RefCell<Vec<Window>>,
    random: RefCell<Random>,
    failure: RefCell<Option<String>>,
    counts: RefCell<Totals>,
}

/// Statistics over histories, which show that they are not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Windows that were acknowledged.
    pub acknowledged: u64,
    /// Queries that were answered.
    pub answers: u64,
    /// Partial results.
    pub partial: u64,
    /// Queries that failed.
    pub failed: u64,
    /// Histories that had a month block after the faults.
    pub months: u64,
    /// Steps of tasks.
    pub steps: u64,
}

impl World {
    /// A history whose processes have not been started.
    pub(crate) fn new(
        executor: Rc<Executor>,
        clock: Clock,
        store: SimStore,
        fleet: Rc<Fleet>,
        scenario: Rc<Scenario>,
        trace: Trace,
        random: Random,
    ) -> Self {
        Self {
            executor,
            clock,
            store,
            fleet,
            windows: RefCell::new(scenario.windows.clone()),
            scenario,
            trace,
            random: RefCell::new(random),
            failure: RefCell::default(),
            counts: RefCell::default(),
        }
    }

    /// A random number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    /// A random span below `bound`.
    pub(crate) fn span(&self, bound: Duration) -> Duration {
        Duration::from_millis(self.below(bound.as_millis() as u64))
    }

    /// Waits until a time.
    pub(crate) async fn until(&self, time: Timestamp) {
        self.clock.sleep(time.since(self.clock.now())).await;
    }

    /// Adds a line to the trace.
    pub(crate) fn event(&self, line: impl FnOnce() -> String) {
        self.trace.event(self.clock.now(), line);
    }

    /// Updates the statistics.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Totals)) {
        add(&mut self.counts.borrow_mut());
    }

    /// The statistics so far.
    pub(crate) fn totals(&self) -> Totals {
        *self.counts.borrow()
    }

    /// Fails the history.
    pub(crate) fn fail(&self, why: String) {
        self.event(|| format!("FAILED: {why}"));
        self.failure.borrow_mut().get_or_insert(why);
    }

    /// The failure, if there is one.
    pub(crate) fn failure(&self) -> Option<String> {
        let failure = self.failure.borrow().clone();
        failure.or_else(|| self.store.violation())
    }

    /// Checks an answer.
    pub(crate) fn check(&self, answer: &Answer) {
        let tolerance = Tolerance {
            lag: self.scenario.faults.lag,
            skew: self.scenario.skew(),
            days: self.scenario.levels.days,
        };
        if let Err(why) = check(&self.windows.borrow(), answer, tolerance) {
            let time = Timestamp::from_millis;
            let (from, until) = (time(answer.asked.start), time(answer.asked.end));
            let (first, last) = (time(answer.effective.start), time(answer.effective.end));
            self.fail(format!(
                "query of {from} to {until}, asked at {}, counted {first} to {last}: {why}; partial: {:?}",
                answer.began, answer.partial
            ));
        }
    }
}
