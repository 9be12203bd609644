//! Progress of a command.

/// Called with the amount that is done, in bytes or objects, and the total.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);
