//! Compaction: merges segments into blocks and deletes what blocks cover.

mod compactor;
mod day;
mod expire;
mod merge;
mod part;
mod presence;
mod quarantine;
mod run;

pub use compactor::{Compactor, Done};
pub use expire::{Outcome, Retained};
pub(crate) use part::EVER;
