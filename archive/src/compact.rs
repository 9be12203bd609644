//! Compaction: merges segments into blocks and deletes what blocks cover.

mod day;
mod expire;
mod merge;
mod presence;
mod quarantine;
mod run;

pub(crate) use day::EVER;
pub use expire::{Outcome, Retained};
pub use run::{Compactor, Done};
