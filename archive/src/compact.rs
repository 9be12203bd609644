//! Compaction: merges segments into blocks and deletes what blocks cover.

mod captures;
mod compactor;
mod day;
mod expire;
mod hour;
mod live_rules;
mod merge;
mod month;
mod part;
mod presence;
mod quarantine;
mod rewrite;
mod run;
mod succeed;

pub use compactor::{Compactor, Done};
pub use expire::{Outcome, Retained};
pub use live_rules::LiveRules;
pub use rewrite::Rewritten;
