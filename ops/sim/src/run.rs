//! Many histories, on all processors.

use crate::history::{Outcome, run};
use crate::trace::Detail;
use crate::world::Totals;
use davy_archive::simulation::Mutant;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Which histories to run.
#[derive(Clone, Debug)]
pub struct Histories {
    /// Their seeds.
    pub seeds: Range<u64>,
    /// The rule that is broken on purpose.
    pub mutant: Option<Mutant>,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The failed history with the lowest seed of those that were run.
    pub failed: Option<Outcome>,
    /// Number of histories that were run.
    pub histories: u64,
    /// Statistics over them.
    pub totals: Totals,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.answers += other.answers;
        self.partial += other.partial;
        self.failed += other.failed;
        self.months += other.months;
        self.steps += other.steps;
    }
}

/// Runs histories until all are done or one of them fails.
pub fn run_all(of: &Histories) -> Found {
    let next = AtomicU64::new(of.seeds.start);
    let has_failed = AtomicBool::new(false);
    let found = Mutex::new(Found::default());
    let work = || {
        while !has_failed.load(Ordering::Acquire) {
            let seed = next.fetch_add(1, Ordering::AcqRel);
            if seed >= of.seeds.end {
                break;
            }
            let outcome = run(seed, of.mutant, Detail::None);
            let mut found = found.lock().expect("no panic while it is held");
            found.histories += 1;
            found.totals.add(outcome.totals);
            if outcome.failure.is_some() {
                has_failed.store(true, Ordering::Release);
                let is_first = found.failed.as_ref().is_none_or(|of| seed < of.seed);
                if is_first {
                    found.failed = Some(outcome);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    found.into_inner().expect("no panic while it was held")
}
