#![doc = include_str!("../README.md")]

mod access;
mod api;
mod build_files;
mod cgroup_report;
mod control;
mod debug_port;
mod endpoints;
mod fleet;
mod fleet_cache;
mod gateway;
pub mod gc;
mod meter;
mod metrics;
mod names;
mod objects;
mod openapi;
mod operations;
mod parameters;
mod pending;
mod periodic;
mod problem;
mod references;
mod report;
mod sync;
#[cfg(test)]
mod test_control;
mod toggling;
mod usage;
mod worker_meter;

pub use access::{Access, AccessOptions, Caller, Connection};
pub use api::health::health_router;
pub use api::{
    ApiOptions, CaptureOptions, EndpointRow, HeapSource, LastRun, MemberRow, ViewerService,
    emergency_router,
};
pub use cgroup_report::CgroupReport;
pub use control::{Check, Control, ControlOptions, Identity};
pub use debug_port::DebugPort;
pub use endpoints::{Disconnect, Endpoints, Fleet, ListenerKind, finish};
pub use gateway::{WorkerReport, router as gateway_router};
pub use metrics::{Children, MetricEntry, Metrics, metrics, registry};
pub use names::nearest;
pub use objects::BuildObjects;
pub use openapi::router as api_router;
pub use operations::{Operation, Parameter, ParameterKind, operations};
pub use periodic::{Plan, Run, periodic};
pub use problem::Problem;
pub use references::{http_api_reference, metrics_reference};
pub use report::{Connections, KernelStatistics, MemberReport, OperationReport, Report};
pub use sync::{control as control_member, database as database_member};
pub use toggling::ToggleRow;
pub use usage::Usage;
pub use worker_meter::WorkerMeter;
