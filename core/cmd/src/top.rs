//! `davy top`: what members and operations cost, live.

mod rows;
mod screen;

use crate::cli::{Failure, Server, print};
use crate::client::Client;
use crate::members::read;
use davy_control::MemberRow;
use davy_profile::units::{bytes, seconds};
use rows::{Grain, Row, Sort, rows};
use std::time::Duration;

/// Options of `davy top`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// A row for each member, or for each operation of each member
    #[arg(long, value_enum, default_value_t = Grain::Operation)]
    by: Grain,
    /// The figure that comes first
    #[arg(long, value_enum, default_value_t = Sort::Heap)]
    sort: Sort,
    /// Print once and end
    #[arg(long)]
    once: bool,
    /// Print JSON; needs --once
    #[arg(long, requires = "once")]
    json: bool,
    /// Rows, at most; all with 0
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Seconds from one picture to the next
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
}

/// Shows the screen, or prints a picture of it.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
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
            .map_err(|error| Failure::Failed(format!("the rows can't be written: {error}")))?;
        return print(&format!("{text}\n"));
    }
    print(&picture(&rows))
}

fn fetch(client: &Client) -> Result<Vec<MemberRow>, Failure> {
    read("members", &client.get("/api/v1/members", &[])?)
}

/// The columns of a picture and of the screen.
const COLUMNS: [&str; 10] = [
    "MEMBER",
    "OPERATION",
    "HEAP",
    "+-",
    "CPU",
    "ALLOC/S",
    "TASKS",
    "REQ/S",
    "P99",
    "DB",
];

fn cells(row: &Row) -> [String; 10] {
    let usage = &row.usage;
    [
        row.member.clone(),
        row.op.clone(),
        bytes(usage.heap_bytes as f64),
        bytes(usage.heap_error_bytes as f64),
        format!("{:.1}%", usage.cpu * 100.0),
        bytes(usage.alloc_bytes_per_second),
        usage.tasks.to_string(),
        format!("{:.1}", usage.requests_per_second),
        p99(usage.request_p99_seconds),
        usage.db_queries.to_string(),
    ]
}

/// The last bound of the buckets of durations: a figure above it tells no more than that.
const P99_MAX: f64 = 10.0;

fn p99(value: f64) -> String {
    if value <= P99_MAX {
        seconds(value)
    } else {
        format!("> {P99_MAX} s")
    }
}

fn picture(rows: &[Row]) -> String {
    let line = |cells: &[String]| {
        let names = format!("{:<20} {:<20}", cells[0], cells[1]);
        let figures = cells[2..].iter();
        figures.fold(names, |line, cell| format!("{line} {cell:>9}")) + "\n"
    };
    let head: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
    rows.iter()
        .fold(line(&head), |text, row| text + &line(&cells(row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_longer_than_the_last_bound_is_not_given_as_the_bound() {
        assert_eq!(p99(5.0), "5.00 s");
        assert_eq!(p99(10.0), "10.0 s");
        assert_eq!(p99(10.01), "> 10 s");
    }
}
