//! Recording rules: totals of profiles as counters, for Prometheus.
//!
//! The time is divided into slots of a minute. The counters of a rule are a sum over slots, which is an object in the bucket
//! (`state.json`): the last slot that was added, and the totals. One replica evaluates each rule. It reads the object,
//! adds the slots that are over, and writes it; its counters are the totals of the object. So a takeover continues where
//! the other replica stopped, and two replicas that evaluate the same slot write the same totals: nothing counts twice.

mod collector;
mod evaluate;
mod remote_write;
mod runner;
mod state;
mod store;

pub use crate::recording_rule::{RecordingRule, RuleError, RulesFile};
pub use collector::RuleCollector;
pub use runner::RuleRunner;
pub use store::RuleStore;
