//! What the simulator (`ops/sim`) changes: rules that are broken on purpose, to see that it finds what they break, and
//! Parquet files without compression, because each context of zstd takes longer than all else in a history.
//!
//! None of it can apply by accident: without the feature `simulation` it does not exist, and with it it applies only on
//! the thread that called `simulate`, which no code of the archive does.

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The compactor deletes inputs as soon as a block covers them.
    NoGrace,
    /// The reader's rule has no step 2.
    NoStepTwo,
    /// Readers count a window in each piece that has it.
    NoWindowIds,
    /// A push is acknowledged before its segment is written.
    EarlyAcknowledgement,
    /// Windows expire without a day block that holds their sums.
    NoDayBlock,
    /// A day block counts as complete in an hour whatever else is known of it.
    IncompleteDayBlock,
    /// The meta object of a block is written first.
    MetaFirst,
    /// Readers use a month block whatever the sources of its days are.
    OutdatedMonthBlock,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 8] = [
        Self::NoGrace,
        Self::NoStepTwo,
        Self::NoWindowIds,
        Self::EarlyAcknowledgement,
        Self::NoDayBlock,
        Self::IncompleteDayBlock,
        Self::MetaFirst,
        Self::OutdatedMonthBlock,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoGrace => "no-grace",
            Self::NoStepTwo => "no-step-two",
            Self::NoWindowIds => "no-window-ids",
            Self::EarlyAcknowledgement => "early-acknowledgement",
            Self::NoDayBlock => "no-day-block",
            Self::IncompleteDayBlock => "incomplete-day-block",
            Self::MetaFirst => "meta-first",
            Self::OutdatedMonthBlock => "outdated-month-block",
        }
    }
}

#[cfg(feature = "simulation")]
mod simulated {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static IS_SIMULATED: Cell<bool> = const { Cell::new(false) };
        static BROKEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Simulates the archives that run on this thread, with one broken rule or none.
    pub fn simulate(mutant: Option<Mutant>) {
        IS_SIMULATED.set(true);
        BROKEN.set(mutant);
    }

    /// Whether a rule is broken.
    pub(crate) fn is_active(mutant: Mutant) -> bool {
        BROKEN.get() == Some(mutant)
    }

    /// Whether this thread runs a simulation.
    pub(crate) fn is_simulated() -> bool {
        IS_SIMULATED.get()
    }
}

#[cfg(feature = "simulation")]
pub use simulated::simulate;
#[cfg(feature = "simulation")]
pub(crate) use simulated::{is_active, is_simulated};

/// Whether a rule is broken: never.
#[cfg(not(feature = "simulation"))]
pub(crate) const fn is_active(_: Mutant) -> bool {
    false
}

/// Whether this thread runs a simulation: never.
#[cfg(not(feature = "simulation"))]
pub(crate) const fn is_simulated() -> bool {
    false
}
