//! `davy top`: the usage of members and operations, live.

mod rows;
mod screen;
mod table;

use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use crate::stdout::print;
use rows::{TopGrain, TopSort, fetch, rows};
use std::time::Duration;

/// Options of `davy top`.
#[derive(Debug, clap::Args)]
pub(crate) struct TopOptions {
    #[command(flatten)]
    server: Server,
    /// Show a row per member, or per operation of each member
    #[arg(long, value_enum, default_value_t = TopGrain::Operation)]
    by: TopGrain,
    /// Column to sort by
    #[arg(long, value_enum, default_value_t = TopSort::Heap)]
    sort: TopSort,
    /// Print once and exit
    #[arg(long)]
    once: bool,
    /// Print JSON; requires --once
    #[arg(long, requires = "once")]
    json: bool,
    /// Maximum number of rows; 0 for all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Seconds between two updates
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
}

/// Shows the screen, or prints the rows once.
pub(crate) fn run(options: &TopOptions) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    if !options.once {
        let interval = Duration::from_secs(options.interval);
        return screen::run(&client, options.by, options.sort, interval);
    }
    let mut rows = rows(&fetch(&client)?, options.by, options.sort);
    if options.limit > 0 {
        rows.truncate(options.limit);
    }
    if options.json {
        let text = serde_json::to_string_pretty(&rows)
            .map_err(Failure::because("cannot serialize the rows"))?;
        return print(&format!("{text}\n"));
    }
    print(&table::table(&rows))
}
