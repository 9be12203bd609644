//! Tags for HTTP servers: a request, its response with the whole body, and the connection that carries them.
//!
//! A connection serves one request after the other, so its work is attributed to the request that it serves:
//! reading and parsing to the request that follows, writing to the one that is answered. Serve connections by `serve`
//! (feature `hyper` or `tower`), or add `layer` to a router. `serve` is `service` and [`Connection`] in one, for servers
//! that have only one of both in their hands. A server with its own middleware calls [`begin_request`] and wraps bodies with [`TaggedBody`].

mod body;
mod connection;
#[cfg(any(feature = "hyper", feature = "tower"))]
mod service;

pub use body::TaggedBody;
pub use connection::{Connection, InFlight, begin_request};
#[cfg(any(feature = "hyper", feature = "tower"))]
pub use service::{ResponseFuture, TaggedService, serve, service};
#[cfg(feature = "tower")]
pub use service::{TagLayer, layer};
