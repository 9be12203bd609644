//! An overview of the archive of a tenant for its page: what it holds, what is due, and what it costs.
//!
//! It lists all levels, which takes as many requests as a round of the compactor, and reads the meta objects of the
//! newest blocks. It is kept for a minute, so its costs do not grow with the number of people who look at it.

mod gather;
mod http;
mod kept;
mod model;

pub use http::overview_router;
