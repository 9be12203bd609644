#![doc = include_str!("../README.md")]

mod error;
mod event;
mod files;
mod limits;
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
mod walk;

pub use error::Error;
pub use names::Names;
pub use options::{CallGraph, RecordOptions};
pub use recorder::{Recorder, Target};
pub use recording::Recording;
