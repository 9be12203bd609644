//! Where tasks wait is not known without the built-in unwinder.

/// Shown as the stack of a task whose stack is not known.
pub(crate) const UNKNOWN: &str = "(where tasks wait is not known on this system)";

pub(crate) fn start() {}
