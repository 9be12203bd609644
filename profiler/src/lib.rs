#![doc = include_str!("../README.md")]

#[cfg(not(any(native, feature = "pprof-engine")))]
compile_error!(
    "davy-profiler has an engine of its own on Linux on x86_64 or aarch64 only; its feature `pprof-engine` has one for other systems"
);
#[cfg(all(not(native), feature = "jemalloc"))]
compile_error!("heap profiles (the feature `jemalloc`) need Linux on x86_64 or aarch64");

mod aggregate;
mod assemble;
mod builder;
mod clock;
mod control;
#[cfg_attr(not(native), path = "elsewhere/cpu.rs")]
mod cpu;
#[cfg(feature = "axum")]
mod debug;
mod drain;
mod error;
mod handle;
pub mod heap;
#[cfg_attr(not(native), path = "elsewhere/modules.rs")]
mod modules;
mod push;
mod recorder;
mod stats;
#[cfg_attr(not(native), path = "elsewhere/symbol.rs")]
mod symbol;
#[cfg_attr(not(native), path = "elsewhere/tasks.rs")]
mod tasks;
#[cfg_attr(not(native), path = "elsewhere/thread.rs")]
mod thread;
#[cfg(native)]
mod unwind;
mod wall;

pub use aggregate::Filter;
pub use builder::{Builder, Engine, Profiler};
#[cfg(native)]
#[doc(hidden)]
pub use cpu::Probe;
#[cfg(feature = "axum")]
pub use debug::debug_router;
pub use error::Error;
pub use handle::{HZ_MAX, Handle, PROFILE_SPAN_MAX};
pub use push::{Compression, check_archiver};
pub use stats::{Dropped, HeapStats, LiveBytes, LiveHeap, Stats};
pub use symbol::serve_if_asked;
pub use thread::register_thread;
