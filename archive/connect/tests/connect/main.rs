//! The query API as its clients see it. One program, because linking each takes as long as running its tests.

mod client;
mod equal;
mod methods;
mod otlp;
mod protocols;
mod refusals;
mod spans;
mod support;
