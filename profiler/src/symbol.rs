//! Names of addresses.
//!
//! Debug information of a service takes tens of megabytes once it is parsed, and a profiler that
//! is always on must not hold them. So a short-lived child of the same executable parses it,
//! answers and ends. It answers with whole functions, line by line, so that the next sample of the
//! same function is already known; after the first minutes hardly any child is needed.

mod cache;
mod child;
mod fold;
mod packed;
mod resolve;
mod separate;
mod source;
mod table;

pub(crate) use cache::{Frame, Symbols};
pub(crate) use child::children;
pub use child::serve_if_asked;
pub(crate) use fold::fold_generics;

use crate::modules::Module;

/// Addresses of one file, relative to what the file says of itself.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) module: &'a Module,
    pub(crate) addresses: Vec<u64>,
}

/// Frames of a range of addresses of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Index of the request.
    pub(crate) request: usize,
    pub(crate) start: u64,
    pub(crate) length: u64,
    /// Innermost first.
    pub(crate) frames: Vec<ResolvedFrame>,
}

/// A function, its file and a line, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedFrame {
    pub(crate) function: std::rc::Rc<str>,
    pub(crate) file: std::rc::Rc<str>,
    pub(crate) line: u32,
}

/// The name for people: demangled, with its generics and without its hash.
pub(crate) fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
