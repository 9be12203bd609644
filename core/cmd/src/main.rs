//! The `davy` binary: parses the command line and runs a command.

// `println!` and `eprintln!` panic if the stream cannot be written.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

mod archive;
mod bucket;
mod builds;
mod catalogue;
mod changes;
mod cli;
mod client;
mod config;
mod diff;
mod doctor;
mod drill;
mod failure;
mod hijack;
mod hostname;
mod http;
mod labels;
mod live;
mod logs;
mod manual;
mod mcp;
mod members;
mod operator;
mod output;
mod placement;
mod process;
mod profile;
mod push;
mod query;
mod record;
mod reference;
mod server;
mod settings;
mod stderr;
mod stdout;
mod symbols;
mod times;
mod toggle;
mod top;
mod worker;

use clap::Parser as _;
use std::process::ExitCode;

// Samples allocations with the member and the operation that made them. With jemalloc's default number of arenas, merging
// an hour of profiles (20 services, 2.7 million rows) took 300 to 330 MiB on two processors instead of 238.
davy_profiler::use_jemalloc!(few_arenas);

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stderr::print_line(format_args!("davy: {}", failure.report()));
            ExitCode::from(failure.exit_code())
        }
    }
}
