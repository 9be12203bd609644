#![doc = include_str!("../README.md")]

mod args;
mod audit;
mod budget;
mod error;
mod figures;
mod jobs;
mod listen;
mod migrate;
mod pool;
mod processes;
mod session;
mod slots;
mod store;
mod ticks;
mod toggles;
mod url;

pub use audit::{AuditRow, NewAudit, Source};
pub use error::{Error, Kind};
pub use figures::{BUCKETS_SECONDS, BudgetFigures, Figures, QueryFigures};
pub use jobs::{Job, NewJob};
pub use listen::{Event, Listener, TOGGLES, WAKE};
pub use processes::ProcessRow;
pub use store::{Options, Store};
pub use ticks::{Claim, Outcome, Tick};
pub use toggles::{Action, Toggle, ToggleChange, ToggleKind, UnknownKind};
pub use url::without_password;
