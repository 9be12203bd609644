//! Delivers windows to an archiver, on a thread of its own.

#![cfg_attr(
    not(feature = "push"),
    expect(dead_code, reason = "only http.rs uses all of it")
)]

mod archiver;
#[cfg_attr(not(feature = "push"), path = "push/no_http.rs")]
mod http;
mod outbox;
mod pack;
mod pusher;
mod queue;
#[cfg(feature = "push")]
mod resolver;
mod settings;
mod spool;
mod symbol_upload;
#[cfg(feature = "tls")]
mod tls;
mod urgent;
mod wire;

pub(crate) use archiver::Archiver;
pub(crate) use outbox::{Outbox, RawWindow};
pub use pack::Compression;
pub(crate) use settings::Settings;
#[cfg(feature = "tls")]
pub(crate) use tls::Trust;

/// Checks whether windows could be pushed to an archiver at this address. Makes no connection.
pub fn check_archiver(url: &str) -> Result<(), crate::Error> {
    Archiver::parse(url).map(drop)
}
