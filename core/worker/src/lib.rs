#![doc = include_str!("../README.md")]

mod client;
mod driver;
mod error;
mod key;
mod protocol;
mod service;
mod stop;
mod sweeper;
mod task;
pub mod tree;
mod usage;

pub use error::Error;
pub use key::WorkerKey;
pub use protocol::{ProtocolConnections, ProtocolWorker};
pub use service::{Worker, WorkerOptions};
pub use stop::Stop;
pub use usage::{DiskUsage, UsageSender};
