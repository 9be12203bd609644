#![doc = include_str!("../README.md")]

mod answers;
mod fetch;
mod index;
mod metrics;
mod options;
mod service;
mod spool;
mod upload;

pub use options::DebugFileOptions;
pub use service::DebugFiles;
