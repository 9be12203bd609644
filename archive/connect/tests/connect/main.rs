//! The query API as its clients see it. One program, because linking each takes as long as running its tests.

mod client;
mod equal;
mod methods;
mod otlp;
#[path = "../../benches/otlp/mod.rs"]
mod otlp_encoder;
mod otlp_pprof;
#[path = "../../../benches/program/mod.rs"]
mod program;
mod protocols;
mod refusals;
mod spans;
mod support;
#[path = "../../../benches/program/window.rs"]
mod window;
