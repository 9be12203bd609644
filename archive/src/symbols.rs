//! The names of builds: stored once for each build, and joined with frames that have an address only.

mod cache;
mod lookup;
mod session;
mod source;
mod store;

pub(crate) use session::Session;
pub(crate) use source::Symbols;
pub(crate) use store::{Stored, Upload};
