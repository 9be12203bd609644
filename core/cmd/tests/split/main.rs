//! End-to-end tests of fleets: one suite for every placement, and the faults of a fleet.

mod arclamp;
mod bad_input;
mod builds;
mod cgroups;
mod database;
mod drill;
mod faults;
mod fleet;
mod hang;
mod http;
mod outage;
mod placements;
mod process;
mod profiles;
mod reload;
mod replicas;
mod routes;
mod suite;
