//! OpenStack Swift by its own API. Its S3 API has no token, no expiry by object and no checksum on reads.

mod container;
mod delete;
mod large;
mod listing;
mod login;
mod objects;
mod options;
mod session;
mod sum;

pub use container::Swift;
pub(crate) use objects::DELETE_AFTER;
pub use options::SwiftOptions;
