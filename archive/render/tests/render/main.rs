//! Renders real archives into buckets.

mod artefacts;
mod csp;
mod kills;
mod pages;
mod stores;
mod support;
