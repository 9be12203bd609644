//! Requests for the names of addresses, and their results.

use crate::modules::Module;
use std::rc::Rc;

/// Asks for the frames of addresses of one file.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    pub(crate) module: &'a Module,
    /// Sorted, in the file's own address space.
    pub(crate) addresses: Vec<u64>,
}

/// The frames of a range of addresses of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedRange {
    /// Index of the lookup.
    pub(crate) lookup: usize,
    pub(crate) start: u64,
    pub(crate) length: u64,
    /// Innermost first.
    pub(crate) frames: Vec<NamedFrame>,
}

/// A function, its source file and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFrame {
    pub(crate) function: Rc<str>,
    pub(crate) file: Rc<str>,
    pub(crate) line: u32,
}
