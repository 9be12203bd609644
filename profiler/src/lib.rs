#![doc = include_str!("../README.md")]

mod aggregate;
mod allocation_alarm;
mod assemble;
mod builder;
mod clock;
mod debug;
#[cfg(feature = "axum")]
mod debug_router;
mod drain;
mod engine;
mod environment;
mod error;
mod fold;
mod handle;
pub mod heap;
mod modules;
mod nudge;
mod profiler;
mod push;
mod recorder;
mod requests;
#[cfg(feature = "main")]
mod run;
mod sample_kind;
mod sampler;
mod scaling;
mod stats;
mod tasks;
mod wall;

// The seam between systems: `build.rs` sets `native` on Linux on x86_64 and aarch64. Elsewhere `fallback`
// has the same modules with what is possible there. Only `engine` and `fallback` look at the target too.
#[cfg(native)]
mod cpu;
#[cfg(feature = "pprof-engine")]
mod fallback;
#[cfg(native)]
mod kernel_symbols;
#[cfg(native)]
mod loader;
#[cfg(native)]
mod mapped;
#[cfg(native)]
mod symbolizer;
#[cfg(native)]
mod symbols;
#[cfg(native)]
mod system_calls;
#[cfg(native)]
mod task_stacks;
#[cfg(native)]
mod thread;
#[cfg(native)]
mod unwind;
#[cfg(not(native))]
use fallback::{loader, symbolizer, symbols, task_stacks, thread};

pub use aggregate::Filter;
pub use builder::Builder;
#[cfg(native)]
#[doc(hidden)]
pub use cpu::Probe;
#[cfg(feature = "main")]
pub use davy_profiler_macros::main;
pub use debug::DebugResponse;
#[cfg(feature = "axum")]
pub use debug_router::debug_router;
pub use engine::Engine;
pub use error::Error;
pub use handle::{Handle, PROFILE_SPAN_MAX};
pub use profiler::Profiler;
pub use push::{Compression, check_archiver};
pub use requests::{RequestBucket, RequestCounts};
#[cfg(feature = "main")]
#[doc(hidden)]
pub use run::run;
pub use sampler::HZ_MAX;
pub use stats::{Dropped, HeapStats, LiveBytes, LiveHeap, Stats};
pub use symbolizer::serve_if_asked;
#[cfg(native)]
pub use symbolizer::{SymbolSources, build_symbol_index, build_symbol_index_in_child};
pub use thread::register_thread;
