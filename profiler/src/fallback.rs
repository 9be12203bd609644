//! A sampler based on the crate pprof and, on systems other than Linux on x86_64 and aarch64, stand-ins
//! for the modules that exist only there.

#[cfg(not(native))]
pub(crate) mod loader;
mod sampler;
#[cfg(not(native))]
pub(crate) mod symbolizer;
#[cfg(not(native))]
pub(crate) mod symbols;
#[cfg(not(native))]
pub(crate) mod task_stacks;
#[cfg(not(native))]
pub(crate) mod thread;

pub(crate) use sampler::start;
