//! Configuration: one table of settings, four sources, and the source of every value.

mod archive_settings;
mod arclamp;
mod arclamp_settings;
mod debug_files;
mod error;
mod general;
mod limits;
mod load;
mod prices;
mod recording;
mod render;
mod rules;
mod scrape;
mod setting;
mod settings;
#[cfg(test)]
mod tests;
mod values;
mod viewer;

pub(crate) use error::Error;
pub(crate) use limits::configured as configured_limits;
pub(crate) use load::{Flags, Loaded, Source};
pub(crate) use recording::RecordingConfig;
pub(crate) use rules::configured as configured_rules;
pub(crate) use scrape::configured as configured_scrape;
pub(crate) use setting::Setting;
pub(crate) use settings::{SETTINGS, find_setting};
pub(crate) use values::{Config, LogFormat};
