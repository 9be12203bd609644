//! `davy members` and `davy endpoints`: what there is, how it is toggled, what it costs.

use crate::cli::{Failure, Server, print};
use crate::client::Client;
use davy_base::{Clock, Timestamp};
use davy_control::{EndpointRow, MemberRow, ToggleRow};
use davy_profile::units::{bytes, seconds};

/// Options of `davy members` and `davy endpoints`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: Server,
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
}

/// Prints the members.
pub(crate) fn members(options: &Options) -> Result<(), Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/members", &[])?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<MemberRow> = read("members", &body)?;
    print(&table(&rows, Clock::system().now()))
}

/// Prints the endpoints.
pub(crate) fn endpoints(options: &Options) -> Result<(), Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/endpoints", &[])?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<EndpointRow> = read("endpoints", &body)?;
    let mut lines = format!(
        "{:<20} {:<17} {:<7} {:<40} {:>8} {:>9}  {}\n",
        "OPERATION", "MEMBER", "METHOD", "PATH", "REQUESTS", "HEAP", "SWITCH"
    );
    for row in &rows {
        let line = format!(
            "{:<20} {:<17} {:<7} {:<40} {:>8} {:>9}  {}",
            row.operation,
            row.member,
            row.method,
            row.path,
            row.usage.requests,
            bytes(row.usage.heap_bytes as f64),
            toggle(&row.toggle)
        );
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    print(&lines)
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::Failed(format!("the answer is no list of {what}: {error}")))
}

fn table(rows: &[MemberRow], now: Timestamp) -> String {
    let mut table = format!(
        "{:<20} {:<14} {:>8}  {:<15} {:<11} {:>8} {:>8} {:>6} {:>9}  {}\n",
        "MEMBER", "PROCESS", "PID", "DEBUG", "STATE", "SINCE", "RESTARTS", "CPU", "HEAP", "NOTE"
    );
    for row in rows.iter().filter(|row| row.member.state != "-") {
        let age = now
            .since(Timestamp::from_millis(row.member.since))
            .as_secs();
        let age = humantime::format_duration(std::time::Duration::from_secs(age)).to_string();
        // The port is that of the process that hosts the member, not of the one that the member is.
        let (pid, debug) = match row.member.child_pid {
            Some(child) => (child, "-"),
            None => (row.pid, row.debug.as_str()),
        };
        let line = format!(
            "{:<20} {:<14} {pid:>8}  {debug:<15} {:<11} {age:>8} {:>8} {:>5.1}% {:>9}  {}",
            row.member.name,
            row.process,
            row.member.state,
            row.member.restarts,
            row.member.usage.cpu * 100.0,
            bytes(row.member.usage.heap_bytes as f64),
            note(row)
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// What there is to say of a member besides its figures.
fn note(row: &MemberRow) -> String {
    let mut notes = Vec::new();
    if !row.toggle.enabled {
        notes.push(toggle(&row.toggle));
    }
    notes.extend(row.member.error.clone());
    let note = row.member.note.clone();
    notes.extend(note.filter(|_| row.toggle.enabled));
    if let Some(run) = &row.last_run {
        let outcome = run.outcome.as_deref().unwrap_or("not run yet");
        let took = run
            .duration_seconds
            .map_or_else(String::new, |s| format!(" in {}", seconds(s)));
        let late = if run.stale { ", late" } else { "" };
        notes.push(format!("last run: {outcome}{took}{late}"));
    }
    if row.member.leaked > 0 {
        notes.push(format!("{} tasks leaked", row.member.leaked));
    }
    if row.age_seconds > 5.0 {
        notes.push(format!("{} ago", seconds(row.age_seconds)));
    }
    notes.join("; ")
}

/// A toggle in words.
pub(crate) fn toggle(toggle: &ToggleRow) -> String {
    let state = match (toggle.enabled, toggle.limit) {
        (false, _) => "off".to_owned(),
        (true, Some(limit)) => format!("limit {limit}"),
        (true, None) => return String::new(),
    };
    let who = toggle.who.as_ref().or(toggle.source.as_ref());
    let who = who.map_or_else(String::new, |who| format!(" by {who}"));
    let why = toggle
        .why
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    format!("{state}{who}{why}")
}
