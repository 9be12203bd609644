//! Tags for HTTP servers: a request, its response with the whole body, and the connection that carries them.
//!
//! A connection serves one request after the other, so its work is attributed to the request that it serves:
//! reading and parsing to the request that follows, writing to the one that is answered. Wrap the service with
//! `service` (feature `hyper` or `tower`), or add `layer`, and wrap the future of the connection with
//! [`Connection`]. A server with its own middleware calls [`begin_request`] and wraps bodies with [`TaggedBody`].

mod body;
mod connection;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod service;

pub use body::TaggedBody;
pub use connection::{Connection, InFlight, begin_request};
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use service::{ResponseFuture, TaggedService, service};
#[cfg(feature = "tower")]
pub use service::{TagLayer, layer};
