//! `davy member`, `davy endpoint` and `davy audit`: throw a toggle, and see who threw which.

use crate::cli::{Failure, Server, print};
use crate::client::Client;
use crate::members::read;
use crate::who::who;
use clap::Subcommand;
use davy_base::Timestamp;
use serde::Deserialize;
use serde_json::json;

/// What to do with a member.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Let it run again, as the configuration says
    Enable(Named),
    /// Stop it, in every process
    Disable(Named),
    /// Stop it and start it again, in every process
    Restart(Named),
    /// Run a periodic member now, once
    Wake(Named),
}

/// What to do with an endpoint.
#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Let it answer again, as the configuration says
    Enable(Named),
    /// Refuse its requests, in every process
    Disable(Named),
    /// Let only so many requests in at a time, in all processes together
    Limit {
        /// The operation, as `davy endpoints` lists it
        name: String,
        /// Requests at a time
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// How long a request may hold its place, such as 30s
        #[arg(long)]
        slot: Option<String>,
        #[command(flatten)]
        change: Change,
    },
}

/// A member or an operation, and the reason.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Its name, as `davy members` and `davy endpoints` list it
    name: String,
    #[command(flatten)]
    change: Change,
}

/// What every change has.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    server: Server,
    /// The reason, for those who find it toggled
    #[arg(long, default_value = "")]
    why: String,
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
}

/// Options of `davy audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditOptions {
    #[command(flatten)]
    server: Server,
    /// Changes, at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
}

pub(crate) fn member(command: &MemberCommand) -> Result<(), Failure> {
    let (verb, tail, named, enabled) = match command {
        MemberCommand::Enable(named) => ("PUT", "", named, Some(true)),
        MemberCommand::Disable(named) => ("PUT", "", named, Some(false)),
        MemberCommand::Restart(named) => ("POST", "/restart", named, None),
        MemberCommand::Wake(named) => ("POST", "/wake", named, None),
    };
    let mut body = json!({"why": named.change.why});
    if let Some(enabled) = enabled {
        body["enabled"] = json!(enabled);
    }
    send(&named.change, verb, "members", &named.name, tail, &body)
}

pub(crate) fn endpoint(command: &EndpointCommand) -> Result<(), Failure> {
    let (named, change, body) = match command {
        EndpointCommand::Enable(named) => (&named.name, &named.change, json!({"enabled": true})),
        EndpointCommand::Disable(named) => (&named.name, &named.change, json!({"enabled": false})),
        EndpointCommand::Limit {
            name,
            limit,
            slot,
            change,
        } => (name, change, json!({"limit": limit, "slot": slot})),
    };
    let mut body = body;
    body["why"] = json!(change.why);
    send(change, "PUT", "endpoints", named, "", &body)
}

#[derive(Deserialize)]
struct Taken {
    name: String,
    detail: String,
}

fn send(
    change: &Change,
    verb: &str,
    what: &str,
    name: &str,
    tail: &str,
    body: &serde_json::Value,
) -> Result<(), Failure> {
    // A name goes into a path; one that can't be a name is unknown in any case.
    if name.is_empty() || name.contains(['/', '?', '#', '%', ' ']) {
        return Err(Failure::Usage(format!(
            "{name:?} is no name; `davy {what}` lists all"
        )));
    }
    let client = Client::new(&change.server)?;
    let answer = client.change(verb, &format!("/api/v1/{what}/{name}{tail}"), body, &who())?;
    if change.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&answer)));
    }
    let taken: Taken = read("changes", &answer)?;
    print(&format!("{}: {}\n", taken.name, taken.detail))
}

#[derive(Deserialize)]
struct AuditRow {
    at: i64,
    who: String,
    what: String,
    name: String,
    why: Option<String>,
    source: String,
}

/// Prints who changed what, when and why.
pub(crate) fn audit(options: &AuditOptions) -> Result<(), Failure> {
    let query = [("limit", options.limit.to_string())];
    let body = Client::new(&options.server)?.get("/api/v1/audit", &query)?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<AuditRow> = read("changes", &body)?;
    let mut table = format!(
        "{:<25} {:<20} {:<7} {:<18} {:<20} {}\n",
        "WHEN", "WHO", "BY", "WHAT", "NAME", "WHY"
    );
    for row in rows {
        let line = format!(
            "{:<25} {:<20} {:<7} {:<18} {:<20} {}",
            Timestamp::from_millis(row.at).to_string(),
            row.who,
            row.source,
            row.what,
            row.name,
            row.why.unwrap_or_default()
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    print(&table)
}
