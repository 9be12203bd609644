//! The functions at an address.

use std::sync::Arc;

/// A function at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFrame {
    /// Name of the function.
    pub function: Arc<str>,
    /// Source file, "" if unknown.
    pub file: Arc<str>,
    /// Line, 0 if unknown.
    pub line: u32,
}

/// The functions at an address: the one that contains the code, and those that were inlined there, each into the
/// one before.
pub type Chain = Arc<[NamedFrame]>;
