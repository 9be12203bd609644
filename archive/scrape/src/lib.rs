#![doc = include_str!("../README.md")]

mod config;
mod delta;
mod discovery;
mod kubernetes;
mod metrics;
mod push;
mod relabel;
mod scrape;
mod scraper;
mod slot;
mod source;
mod target;

pub use config::{ConfigError, ScrapeConfig};
pub use scraper::{ScrapeOptions, Scraper};
