#![doc = include_str!("../README.md")]

mod cgroup;
mod error;
mod event;
mod files;
mod followed;
mod limits;
mod listing;
mod maps;
mod names;
mod options;
mod parse;
mod perf_map;
mod recorder;
mod recording;
mod refusal;
mod ring;
mod roots;
mod stacks;
mod tables;
mod target;
mod walk;

pub use error::Error;
pub use names::Names;
pub use options::{CallGraph, RecordOptions};
pub use recorder::Recorder;
pub use recording::Recording;
pub use target::{Mechanism, Target};
