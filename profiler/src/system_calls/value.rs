//! The number of a system call as far as code determines it.

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Constant(u32),
    /// The argument of the function with this index.
    Argument(u8),
    Unknown,
}
