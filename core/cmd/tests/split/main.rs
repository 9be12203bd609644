//! A fleet as its operators meet it: the same questions to every placement of its members, and the
//! faults that a fleet meets.

mod bad_input;
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
mod routes;
mod suite;
