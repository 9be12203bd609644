//! Requests to every kind of object store: folders, memory, S3 (versitygw) and OpenStack Swift by both of its APIs.

#[path = "stores/conformance.rs"]
mod conformance;
#[path = "stores/faults.rs"]
mod faults;
#[path = "stores/keystone.rs"]
mod keystone;
#[path = "stores/proxy.rs"]
mod proxy;
#[path = "stores/refusals.rs"]
mod refusals;
#[path = "stores/world.rs"]
mod world;
