#![doc = include_str!("../README.md")]

mod args;
mod audit;
mod budget;
mod error;
mod jobs;
mod listen;
mod migrate;
mod pool;
mod processes;
mod session;
mod slots;
mod stats;
mod store;
mod ticks;
mod toggles;
mod url;

pub use audit::{AuditRow, NewAudit, Source};
pub use error::{Error, ErrorKind};
pub use jobs::{Job, NewJob};
pub use listen::{Event, Listener, TOGGLES, WAKE};
pub use processes::{NewProcess, ProcessRow};
pub use stats::{BUCKETS_SECONDS, BudgetStats, QueryStats, Stats};
pub use store::{Store, StoreOptions};
pub use ticks::{Claim, Outcome, Tick};
pub use toggles::{Action, Toggle, ToggleChange, ToggleKind, UnknownKind};
pub use url::without_password;
