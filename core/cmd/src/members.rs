//! `davy members` and `davy endpoints`: what runs, how it is toggled, and its usage.

use crate::client::{Client, from_json};
use crate::failure::Failure;
use crate::server::Server;
use crate::stdout::print;
use davy_control::{CgroupReport, EndpointRow, MemberRow, ToggleRow};
use davy_profile::units::{bytes, count, duration, seconds};
use std::collections::BTreeMap;
use std::time::Duration;

/// Options of `davy members` and `davy endpoints`.
#[derive(Debug, clap::Args)]
pub(crate) struct MembersOptions {
    #[command(flatten)]
    server: Server,
    /// Print the response of the API as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the members of each process.
pub(crate) fn members(options: &MembersOptions) -> Result<(), Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/members", &[])?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<MemberRow> = from_json(&body)?;
    print(&table(&rows))
}

/// Prints the endpoints.
pub(crate) fn endpoints(options: &MembersOptions) -> Result<(), Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/endpoints", &[])?;
    if options.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&body)));
    }
    let rows: Vec<EndpointRow> = from_json(&body)?;
    let mut lines = format!(
        "{:<20} {:<17} {:<7} {:<40} {:>8} {:>9}  {}\n",
        "OPERATION", "MEMBER", "METHOD", "PATH", "REQUESTS", "HEAP", "TOGGLE"
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

/// Width that every line fits in, unless a note is longer.
const COLUMNS: usize = 80;

/// Width of the column of names.
const NAME_WIDTH: usize = 26;

/// The members below a line for each process.
fn table(rows: &[MemberRow]) -> String {
    let mut processes: BTreeMap<(&str, &str, u32), Vec<&MemberRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.member.state != "-") {
        let process = (row.process.as_str(), row.host.as_str(), row.pid);
        processes.entry(process).or_default().push(row);
    }
    let mut table = String::new();
    for ((process, host, pid), members) in processes {
        if !table.is_empty() {
            table.push('\n');
        }
        let debug = members.first().map_or("", |row| row.debug.as_str());
        table.push_str(&format!("{process}: pid {pid} on {host}"));
        // A worker has no listener.
        if !debug.is_empty() {
            table.push_str(&format!(", debug {debug}"));
        }
        table.push('\n');
        table.push_str(&format!(
            "{:<NAME_WIDTH$} {:<11} {:>8} {:>8} {:>7} {:>10}\n",
            "MEMBER", "STATE", "SINCE", "RESTARTS", "CPU", "HEAP"
        ));
        for row in members {
            table.push_str(&lines(row));
        }
    }
    table
}

/// The line of a member, and a second one if it has notes that don't fit.
fn lines(row: &MemberRow) -> String {
    let state = match row.member.state.as_str() {
        "off" => "disabled",
        state => state,
    };
    let name = row.member.name.as_str();
    // A longer name has a line of its own.
    let (name_line, name) = match name.chars().count() {
        ..=NAME_WIDTH => (String::new(), name),
        _ => (format!("{name}\n"), ""),
    };
    let line = format!(
        "{name_line}{name:<NAME_WIDTH$} {state:<11} {:>8} {:>8} {:>6.1}% {:>10}",
        two_units(row.since_seconds as u64),
        row.member.restarts,
        row.member.usage.cpu * 100.0,
        bytes(row.member.usage.heap_bytes as f64),
    );
    let notes = notes(row);
    if notes.is_empty() {
        return format!("{line}\n");
    }
    let joined = format!("{line}  {}", notes.join("; "));
    if name_line.is_empty() && joined.chars().count() <= COLUMNS {
        return format!("{joined}\n");
    }
    let notes = notes.iter().map(|note| format!("    {note}\n"));
    format!("{line}\n{}", notes.collect::<String>())
}

/// Seconds in their two largest units: `24s`, `3m 20s`, `11d 10h`.
fn two_units(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Notes about everything that the columns do not show.
fn notes(row: &MemberRow) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(child) = row.member.child_pid {
        notes.push(format!("child pid {child}"));
    }
    // Only that of the supervisor, not of each member in the child.
    if row.member.name.starts_with("process.") {
        notes.extend(row.member.cgroup.as_ref().map(cgroup));
    }
    if !row.toggle.enabled {
        notes.push(toggle(&row.toggle));
    }
    notes.extend(row.member.error.clone());
    let note = row.member.note.clone();
    notes.extend(note.filter(|_| row.toggle.enabled));
    if let Some(run) = &row.last_run {
        let outcome = run.outcome.as_deref().unwrap_or("no tick yet");
        // In whole milliseconds, so it has no digits after the point.
        let took = run.duration_seconds.map(Duration::from_secs_f64);
        let took = took.map_or_else(String::new, |took| format!(" in {}", duration(took)));
        let late = if run.stale { ", late" } else { "" };
        notes.push(format!("last tick: {outcome}{took}{late}"));
    }
    if row.member.leaked > 0 {
        let tasks = count(row.member.leaked as usize, "task", "tasks");
        notes.push(format!("{tasks} leaked"));
    }
    if row.age_seconds > 5.0 {
        notes.push(format!("reported {} ago", seconds(row.age_seconds)));
    }
    notes
}

/// What a child process uses as a whole.
fn cgroup(cgroup: &CgroupReport) -> String {
    let mut words = Vec::new();
    if let Some(memory) = cgroup.memory_bytes {
        let limit = cgroup.memory_max_bytes;
        let limit = limit.map_or_else(String::new, |limit| format!(" of {}", bytes(limit as f64)));
        words.push(format!("memory {}{limit}", bytes(memory as f64)));
    }
    if cgroup.oom_kills > 0 {
        let kills = count(cgroup.oom_kills as usize, "process", "processes");
        words.push(format!("{kills} killed because memory ran out"));
    }
    words.extend(cgroup.problem.clone());
    words.join("; ")
}

/// A toggle in words; empty if it is enabled without a limit.
fn toggle(toggle: &ToggleRow) -> String {
    let state = match (toggle.enabled, toggle.limit) {
        (false, _) => "disabled".to_owned(),
        (true, Some(limit)) => format!("limited to {limit}"),
        (true, None) => return String::new(),
    };
    let operator = toggle.operator.as_ref().or(toggle.source.as_ref());
    let operator = operator.map_or_else(String::new, |operator| format!(" by {operator}"));
    let why = toggle
        .why
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    format!("{state}{operator}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(process: &str, name: &str, last_run: &serde_json::Value) -> MemberRow {
        let value = serde_json::json!({
            "name": name, "process": process, "host": "h", "pid": 4_194_303, "debug": "127.0.0.1:8079",
            "state": "restarting", "since": 0, "restarts": 12, "leaked": 1, "child_pid": null,
            "error": null, "note": null, "toggle": {"enabled": true}, "last_run": last_run,
            "connections": null, "since_seconds": 987_654.0, "age_seconds": 0.0, "kernel": {}, "operations": [],
        });
        serde_json::from_value(value).expect("deserialize a row")
    }

    #[test]
    fn members_fit_eighty_columns() {
        let tick = serde_json::json!({
            "at": 0, "outcome": "done", "error": null, "duration_seconds": 0.012,
            "interval_seconds": 60.0, "stale": true,
        });
        let rows = [
            row("quickstart", "archive.compactor", &serde_json::Value::Null),
            row("quickstart", "gc.processes", &tick),
            row("quickstart", "process.quickstart/archive.query", &tick),
        ];
        let table = table(&rows);
        for line in table.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}\n{table}");
        }
        assert!(table.contains("last tick: done in 12 ms, late"), "{table}");
        assert!(table.contains("1 task leaked"), "{table}");
    }
}
