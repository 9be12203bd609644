#![doc = include_str!("../README.md")]

mod builder;
mod channel;
mod collector;
mod entry_point;
pub mod import;
mod line;
mod metrics;
mod push;
mod settings;
mod settings_error;
mod stream;
mod tls;

pub use channel::Channel;
pub use settings::{Note, RedisSettings, Yaml};
pub use settings_error::SettingsError;
pub use stream::{HOLD, Lease, Notify, Stream, StreamOptions};
pub use tls::TlsFiles;
