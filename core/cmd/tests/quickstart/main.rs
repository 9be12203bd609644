//! End-to-end tests of `davy quickstart`: the binary over HTTP, with files, faults and agents.

mod access;
mod agents;
mod archive;
mod bad_input;
mod commands;
mod durability;
mod faults;
mod grafana;
mod http;
mod overview;
mod page;
mod profile;
mod profiles;
mod rootfs;
mod running;
mod self_profile;
mod task_profiles;
mod tenants;
mod terminals;
mod toggles;
mod worker_faults;
mod workers;
