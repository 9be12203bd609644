//! What is known of the number of a system call.

/// What the code tells about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Constant(u32),
    /// The argument of the function with this index.
    Argument(u8),
    Unknown,
}
