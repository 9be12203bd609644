//! The process's doors: what each listener serves, whose work a request is, and its figures.

mod api;
mod assets;
mod health;
mod layer;
mod openapi;
mod operations;
mod problem;
mod serve;

pub(crate) use api::{Shared, router as api};
pub(crate) use assets::router as assets;
pub(crate) use health::router as health;
pub(crate) use layer::{Endpoints, finish};
pub(crate) use problem::Problem;
pub(crate) use serve::{bind, bind_near, serve};
