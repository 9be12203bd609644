//! The binary `davy`: the one place that composes the rooms.

mod bucket;
mod catalogue;
mod cli;
mod client;
mod config;
mod drill;
mod form;
mod http;
mod live;
mod logs;
mod members;
mod placement;
mod process;
mod profile;
mod push;
mod query;
mod record;
mod toggle;
mod top;
mod who;

use clap::Parser as _;
use std::process::ExitCode;

// Every allocation can be sampled, with the member and the operation that made it.
davy_profiler::use_jemalloc!();

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("davy: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
