//! The names of builds: stored once for each build, and joined with frames that have an address only.

mod cache;
mod lookup;
mod missing;
mod session;
mod source;
mod store;

pub use missing::{Fetching, MissingBuild};
pub(crate) use session::{FoundNames, Session};
pub(crate) use source::Symbols;
pub(crate) use store::{Stored, Upload};
