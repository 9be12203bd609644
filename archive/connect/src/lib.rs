#![doc = include_str!("../README.md")]

mod asking;
mod bars;
mod codec;
mod debuginfo;
mod dot;
mod exchange;
mod frame;
mod json;
mod messages;
mod named;
mod notes;
mod otlp;
mod protocol;
mod querier;
mod recording;
mod render;
mod scope;
mod service;
mod status;
mod tree;

pub use service::{debuginfo_router, otlp_router, router};
pub use status::{Code, Status};
