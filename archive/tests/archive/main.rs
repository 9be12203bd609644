//! The archive as its users see it. One program, because linking each takes as long as running its tests.

mod agents;
mod alerts;
mod bounds;
mod bucket;
mod captures;
mod copies;
mod filters;
mod foreign;
mod frames;
mod hostile;
mod levels;
mod merges;
mod overview;
mod pprof_tool;
mod queries;
mod recording;
mod refusals;
mod support;
mod symbols;
mod symbols_api;
mod tables;
mod tenants;
mod versions;
mod views;
mod windows;
