//! `davy execute` runs a task on a worker; `davy builds` lists, follows and aborts builds.

mod events;
mod execute;
mod row;

pub(crate) use execute::{ExecuteOptions, execute};

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stdout::print;
use clap::Subcommand;
use row::BuildRow;
use serde_json::json;

/// Commands on builds.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildsCommand {
    /// List builds, newest first
    Ls {
        #[command(flatten)]
        server: Server,
        /// Maximum number of builds
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print the response of the API as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the log of a build, and follow it until the build is over; exits with the code of its task
    Logs {
        /// The build
        build: i64,
        #[command(flatten)]
        server: Server,
    },
    /// Abort a build
    Abort {
        /// The build
        build: i64,
        #[command(flatten)]
        server: Server,
    },
}

/// `davy builds`.
pub(crate) fn builds(command: &BuildsCommand) -> Result<(), Failure> {
    match command {
        BuildsCommand::Ls {
            server,
            limit,
            json,
        } => {
            let limit = [("limit", limit.to_string())];
            let body = Client::new(server)?.get("/api/v1/builds", &limit)?;
            if *json {
                return print(&format!("{}\n", String::from_utf8_lossy(&body)));
            }
            let rows: Vec<BuildRow> = from_json(&body)?;
            print(&table(&rows))
        }
        BuildsCommand::Logs { build, server } => {
            events::follow(&Client::new(server)?, *build)?.result()
        }
        BuildsCommand::Abort { build, server } => {
            let path = format!("/api/v1/builds/{build}/abort");
            let body = Client::new(server)?.change("POST", &path, &json!({}), &operator())?;
            let row: BuildRow = from_json(&body)?;
            print(&match &*row.state {
                "started" => format!("build {build}: its worker stops the task within seconds\n"),
                state => format!("build {build}: {state}\n"),
            })
        }
    }
}

fn table(rows: &[BuildRow]) -> String {
    let mut table = format!(
        "{:>8} {:<10} {:<20} {:<24} {}\n",
        "BUILD", "STATE", "WORKER", "CREATED BY", "RESULT"
    );
    for row in rows {
        let result = match (row.exit_code, &row.error) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(error)) => error.clone(),
            (None, None) => String::new(),
        };
        let line = format!(
            "{:>8} {:<10} {:<20} {:<24} {result}",
            row.id,
            row.state,
            row.worker.as_deref().unwrap_or("-"),
            row.created_by
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}
