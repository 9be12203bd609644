//! `davy quickstart` as its users meet it: the real binary, real HTTP, real files, real faults.

mod access;
mod agents;
mod bad_input;
mod commands;
mod durability;
mod faults;
mod http;
mod page;
mod profile;
mod profiles;
mod running;
mod self_profile;
mod toggles;
