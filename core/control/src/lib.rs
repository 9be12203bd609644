#![doc = include_str!("../README.md")]

mod api;
mod control;
mod endpoints;
pub mod gc;
mod metrics;
mod names;
mod openapi;
mod operations;
mod periodic;
mod problem;
mod report;
mod sync;
mod toggling;
mod usage;
mod way_back;

pub use api::change::Peer;
pub use api::health::health_router;
pub use api::{EndpointRow, LastRun, MemberRow, ToggleRow, emergency_router, router as api_router};
pub use control::{Control, Identity, Options};
pub use endpoints::{Cut, Endpoints, Fleet, Listener, finish};
pub use metrics::{Children, Metrics, registry};
pub use names::nearest;
pub use operations::{Operation, Parameter, operations};
pub use periodic::{Plan, Run, periodic};
pub use problem::Problem;
pub use report::{Connections, Kernel, MemberReport, OperationReport, Report};
pub use sync::{control as control_member, database as database_member};
pub use usage::Usage;
pub use way_back::DebugPort;
