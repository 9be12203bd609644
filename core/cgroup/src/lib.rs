#![doc = include_str!("../README.md")]

mod cgroup;
mod error;
mod figures;
mod hierarchy;
mod limits;
mod mounts;

pub use cgroup::Cgroup;
pub use error::Error;
pub use figures::{Figures, Pressure, own_memory_max};
pub use hierarchy::Hierarchy;
pub use limits::Limits;
pub use mounts::Version;
