//! Configuration: one table of settings, four sources, and the source of every value.

mod error;
mod load;
mod settings;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use error::Error;
pub(crate) use load::{Flags, Loaded, Source};
pub(crate) use settings::{SETTINGS, Setting};
pub(crate) use values::{Config, LogFormat};
