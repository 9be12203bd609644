//! Names of addresses.
//!
//! The parsed debug information of a service takes tens of megabytes, which an always-on profiler must not
//! hold. So the symbolizer, a short-lived child, parses it and returns whole functions, line by line. They
//! are cached here, so that the next sample of the same function needs no child; after the first minutes
//! few children are started.

mod cache;
mod fold;
mod packed;

pub(crate) use cache::Symbols;
pub(crate) use fold::fold_generics;
pub(crate) use packed::Frame;
