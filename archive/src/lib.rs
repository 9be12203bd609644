#![doc = include_str!("../README.md")]

mod answer;
mod archive;
mod blocking;
pub mod bucket;
mod cache;
pub mod compact;
pub mod copy;
pub mod error;
pub mod format;
pub mod iceberg;
pub mod ingest;
pub mod inspect;
pub mod key;
pub mod labels;
mod limits;
pub mod metrics;
mod options;
mod pattern;
pub mod plan;
mod progress;
pub mod query;
pub mod rule;
pub mod selector;
pub mod simulation;
mod suggest;
mod symbols;
pub mod time;
pub mod types;

pub use archive::{Archive, OPERATIONS};
pub use error::{Error, ErrorKind, Result};
pub use limits::{LimitTable, LiveLimits, TenantLimits};
pub use options::ArchiveOptions;
pub use progress::Progress;
