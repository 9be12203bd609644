//! Renders real archives into buckets.

mod artefacts;
mod csp;
mod kills;
mod nginx;
mod pages;
mod stores;
mod support;
