//! How far a command is.

/// Called with what is done, in bytes or objects, and with the whole.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);
