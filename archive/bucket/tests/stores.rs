//! Requests to every kind of object store: folders, memory, S3 (versitygw), OpenStack Swift by both of its APIs and with
//! tokens of Keystone, and an emulator of Azure's blob storage. No emulator of Google Cloud Storage takes the uploads of
//! `object_store`.

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
