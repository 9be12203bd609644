//! Compaction: merges segments into blocks and deletes what blocks cover.

mod compactor;
mod day;
mod expire;
mod hour;
mod merge;
mod month;
mod part;
mod presence;
mod quarantine;
mod rewrite;
mod run;

pub use compactor::{Compactor, Done};
pub use expire::{Outcome, Retained};
pub use rewrite::Rewritten;
