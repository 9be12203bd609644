//! `davy members`: what the members of the running process do.

use crate::cli::{Failure, Server, print};
use crate::client::Client;
use davy_base::{Clock, Timestamp};

/// Options of `davy members`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    process: String,
    pid: u32,
    state: String,
    since: i64,
    error: Option<String>,
}

/// Asks and prints.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/members", &[])?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<Row> = serde_json::from_slice(&body)
        .map_err(|error| Failure::Failed(format!("the answer is no list of members: {error}")))?;
    let now = Clock::system().now();
    let mut table = format!(
        "{:<20} {:<12} {:>8}  {:<9} {:>8}\n",
        "MEMBER", "PROCESS", "PID", "STATE", "SINCE"
    );
    for row in rows {
        let age = now.since(Timestamp::from_millis(row.since)).as_secs();
        let age = davy_base::size::format_duration(std::time::Duration::from_secs(age));
        let error = row.error.unwrap_or_default();
        let line = format!(
            "{:<20} {:<12} {:>8}  {:<9} {age:>8} {error}",
            row.name, row.process, row.pid, row.state
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    print(&table)
}
