#![doc = include_str!("../README.md")]

mod client;
mod course;
mod executor;
mod faults;
mod fleet;
mod history;
mod holders;
mod objects;
mod reader;
mod run;
mod scenario;
mod store;
mod trace;
mod windows;
mod world;

pub use davy_archive::simulation::Mutant;
pub use history::{Outcome, run};
pub use run::{Found, Histories, run_all};
pub use trace::Detail;
pub use world::Totals;
