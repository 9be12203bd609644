//! `davy member` and `davy endpoint` change toggles; `davy audit` lists the changes.

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::operator::operator;
use crate::server::Server;
use crate::stdout::print;
use clap::Subcommand;
use davy_base::Timestamp;
use serde::Deserialize;
use serde_json::json;

/// What to do with a member.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Run it as configured, in every process
    Enable(ToggleTarget),
    /// Stop it, in every process
    Disable(ToggleTarget),
    /// Stop it and start it again, in every process
    Restart(ToggleTarget),
    /// Run a periodic member now, once
    Wake(ToggleTarget),
}

/// What to do with an endpoint.
#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Serve its requests as configured, in every process
    Enable(ToggleTarget),
    /// Refuse its requests, in every process
    Disable(ToggleTarget),
    /// Limit its concurrent requests across all processes
    Limit {
        /// The operation, as `davy endpoints` lists it
        name: String,
        /// Maximum number of concurrent requests
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// How long a request may hold its slot, such as 30s
        #[arg(long)]
        slot: Option<String>,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

/// The member or operation to change.
#[derive(Debug, clap::Args)]
pub(crate) struct ToggleTarget {
    /// Its name, as `davy members` and `davy endpoints` list it
    name: String,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Options of every change.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeOptions {
    #[command(flatten)]
    server: Server,
    /// Reason, which errors and the audit log show
    #[arg(long, default_value = "")]
    why: String,
    /// Print the response of the API as JSON
    #[arg(long)]
    json: bool,
}

/// Options of `davy audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditOptions {
    #[command(flatten)]
    server: Server,
    /// Maximum number of changes
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print the response of the API as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn member(command: &MemberCommand) -> Result<(), Failure> {
    let (method, suffix, target, enabled) = match command {
        MemberCommand::Enable(target) => ("PUT", "", target, Some(true)),
        MemberCommand::Disable(target) => ("PUT", "", target, Some(false)),
        MemberCommand::Restart(target) => ("POST", "/restart", target, None),
        MemberCommand::Wake(target) => ("POST", "/wake", target, None),
    };
    let mut body = json!({"why": target.change.why});
    if let Some(enabled) = enabled {
        body["enabled"] = json!(enabled);
    }
    send(
        &target.change,
        method,
        "members",
        &target.name,
        suffix,
        &body,
    )
}

pub(crate) fn endpoint(command: &EndpointCommand) -> Result<(), Failure> {
    let (operation, change, body) = match command {
        EndpointCommand::Enable(target) => (&target.name, &target.change, json!({"enabled": true})),
        EndpointCommand::Disable(target) => {
            (&target.name, &target.change, json!({"enabled": false}))
        }
        EndpointCommand::Limit {
            name,
            limit,
            slot,
            change,
        } => (name, change, json!({"limit": limit, "slot": slot})),
    };
    let mut body = body;
    body["why"] = json!(change.why);
    send(change, "PUT", "endpoints", operation, "", &body)
}

#[derive(Deserialize)]
struct ChangeResponse {
    name: String,
    detail: String,
}

fn send(
    change: &ChangeOptions,
    method: &str,
    collection: &str,
    name: &str,
    suffix: &str,
    body: &serde_json::Value,
) -> Result<(), Failure> {
    // The name becomes part of a path.
    if name.is_empty() || name.contains(['/', '?', '#', '%', ' ']) {
        return Err(Failure::usage(format!(
            "invalid name {name:?}; `davy {collection}` lists all names"
        )));
    }
    let client = Client::new(&change.server)?;
    let path = format!("/api/v1/{collection}/{name}{suffix}");
    let response = client.change(method, &path, body, &operator())?;
    if change.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&response)));
    }
    let changed: ChangeResponse = from_json(&response)?;
    print(&format!("{}: {}\n", changed.name, changed.detail))
}

#[derive(Deserialize)]
struct AuditRow {
    at: i64,
    operator: String,
    what: String,
    name: String,
    /// The resulting toggle, as JSON.
    detail: Option<String>,
    why: Option<String>,
    source: String,
}

impl AuditRow {
    /// The change: `endpoint.disable`, `endpoint.limit to 5`.
    fn change(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or_default();
        let detail: serde_json::Value = serde_json::from_str(detail).unwrap_or_default();
        match detail["limit_to"].as_u64() {
            Some(limit) if self.what.rsplit('.').next() == Some("limit") => {
                format!("{} to {limit}", self.what)
            }
            _ => self.what.clone(),
        }
    }
}

/// Prints the audit log.
pub(crate) fn audit(options: &AuditOptions) -> Result<(), Failure> {
    let query = [("limit", options.limit.to_string())];
    let body = Client::new(&options.server)?.get("/api/v1/audit", &query)?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<AuditRow> = from_json(&body)?;
    let mut table = format!(
        "{:<25} {:<20} {:<7} {:<20} {:<20} {}\n",
        "TIME", "OPERATOR", "SOURCE", "CHANGE", "NAME", "REASON"
    );
    for row in rows {
        let line = format!(
            "{:<25} {:<20} {:<7} {:<20} {:<20} {}",
            Timestamp::from_millis(row.at).to_string(),
            row.operator,
            row.source,
            row.change(),
            row.name,
            row.why.unwrap_or_default()
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    print(&table)
}
