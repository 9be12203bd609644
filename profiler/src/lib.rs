#![doc = include_str!("../README.md")]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!(
    "the CPU engine of davy-profiler is not available on this system: it needs Linux on x86_64 or aarch64"
);

mod aggregate;
mod assemble;
mod builder;
mod clock;
mod control;
mod cpu;
#[cfg(feature = "axum")]
mod debug;
mod drain;
mod error;
mod handle;
pub mod heap;
mod modules;
mod push;
mod recorder;
mod stats;
mod symbol;
mod tasks;
mod thread;
mod unwind;
mod wall;

pub use aggregate::Filter;
pub use builder::{Builder, Profiler};
#[doc(hidden)]
pub use cpu::Probe;
#[cfg(feature = "axum")]
pub use debug::debug_router;
pub use error::Error;
pub use handle::{HZ_MAX, Handle, PROFILE_SPAN_MAX};
pub use stats::{Dropped, HeapStats, LiveBytes, LiveHeap, Stats};
pub use symbol::serve_if_asked;
pub use thread::register_thread;
