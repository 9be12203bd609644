//! Compaction: merges segments into blocks and deletes what blocks cover.

mod day;
mod merge;
mod run;

pub use run::{Compactor, Done};
