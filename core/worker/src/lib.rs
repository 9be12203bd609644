#![doc = include_str!("../README.md")]

mod client;
mod containers;
mod copy;
mod driver;
mod error;
mod folder;
mod images;
mod key;
mod limits;
mod options;
mod overlay;
mod protocol;
mod runtime;
mod service;
mod shim;
mod stop;
mod sweeper;
mod task;
mod terminal;
pub mod tree;
mod usage;
mod volumes;

pub use davy_cgroup::Limits;
pub use error::Error;
pub use key::WorkerKey;
pub use options::{DriverOptions, WorkerOptions};
pub use protocol::{ProtocolConnections, ProtocolWorker};
pub use service::Worker;
pub use shim::shim;
pub use stop::Stop;
pub use usage::{DiskUsage, UsageSender};
