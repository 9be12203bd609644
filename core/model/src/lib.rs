#![doc = include_str!("../README.md")]

pub mod build;
pub mod handle;
pub mod illegal;
mod millis;
pub mod name;
pub mod owner;
pub mod signature;
mod states;
pub mod sync;
pub mod task;
#[cfg(test)]
mod test_random;
pub mod wire;
pub mod worker;

pub use build::{Build, BuildEvent, BuildState};
pub use handle::{Handle, HandleEvent, HandleKind, HandleState};
pub use illegal::Illegal;
pub use millis::Millis;
pub use name::InvalidName;
pub use owner::{Collector, Mover};
pub use sync::{Decision, Report, Row};
pub use task::{InvalidTask, Task};
pub use worker::{Worker, WorkerEvent, WorkerState};
