//! Selects a process by its name, its pid or a member that it hosts.

use super::options::ProfileOptions;
use crate::client::Client;
use crate::failure::Failure;
use davy_control::MemberRow;
use std::collections::{BTreeMap, BTreeSet};

/// Finds the process that the options select and returns a row of one of its members.
pub(super) fn find(options: &ProfileOptions) -> Result<MemberRow, Failure> {
    let client = Client::new(&options.server)?;
    let rows: Vec<MemberRow> = client.get_json("/api/v1/members", &[])?;
    let selection = Selection {
        process: options.process.as_deref(),
        pid: options.pid,
        member: options.member.as_deref(),
    };
    selection.find(&rows).cloned().map_err(Failure::usage)
}

/// The conditions that a process must meet.
#[derive(Clone, Copy, Debug, Default)]
struct Selection<'a> {
    process: Option<&'a str>,
    pid: Option<u32>,
    member: Option<&'a str>,
}

impl Selection<'_> {
    fn find<'a>(&self, rows: &'a [MemberRow]) -> Result<&'a MemberRow, String> {
        let has_name = |row: &MemberRow| self.process.is_none_or(|name| row.process == name);
        let has_pid = |row: &MemberRow| self.pid.is_none_or(|pid| row.pid == pid);
        let hosts = |row: &MemberRow| {
            self.member
                .is_none_or(|name| row.member.name == name && row.member.state != "-")
        };
        if let Some(name) = self.process
            && !rows.iter().any(has_name)
        {
            return Err(format!(
                "unknown process {name}; running processes: {}",
                listed(rows.iter())
            ));
        }
        if let Some(pid) = self.pid
            && !rows.iter().any(has_pid)
        {
            return Err(format!(
                "process {pid} is not a process of Davy; running processes: {}; `davy record --pid {pid}` samples any process",
                listed(rows.iter())
            ));
        }
        if let Some(name) = self.member
            && !rows.iter().any(hosts)
        {
            let hosted = rows.iter().filter(|row| row.member.state != "-");
            let members: BTreeSet<&str> = hosted.map(|row| row.member.name.as_str()).collect();
            let members: Vec<&str> = members.into_iter().collect();
            return Err(format!(
                "no process hosts member {name}; hosted members: {}",
                members.join(", ")
            ));
        }
        let is_selected = |row: &&MemberRow| has_name(row) && has_pid(row) && hosts(row);
        let found: BTreeMap<u32, &MemberRow> = rows
            .iter()
            .filter(is_selected)
            .map(|row| (row.pid, row))
            .collect();
        let mut candidates = found.values();
        match (candidates.next(), candidates.next()) {
            (Some(row), None) => Ok(row),
            (None, _) => Err(format!(
                "no process matches all of --process, --pid and --member; processes that host the member: {}",
                listed(rows.iter().filter(|row| hosts(row)))
            )),
            (Some(_), Some(_)) => Err(format!(
                "several processes match; select one: {}",
                listed(found.values().copied())
            )),
        }
    }
}

fn listed<'a>(rows: impl Iterator<Item = &'a MemberRow>) -> String {
    let by_pid: BTreeMap<u32, &str> = rows.map(|row| (row.pid, row.process.as_str())).collect();
    let named = by_pid
        .into_iter()
        .map(|(pid, name)| format!("{name} (--pid {pid})"));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(process: &str, pid: u32, name: &str) -> MemberRow {
        let value = serde_json::json!({
            "name": name, "process": process, "host": "h", "pid": pid, "debug": "", "state": "ready",
            "since": 0, "restarts": 0, "leaked": 0, "child_pid": null, "error": null, "note": null,
            "toggle": {}, "last_run": null, "connections": null, "since_seconds": 0.0, "age_seconds": 0.0, "kernel": {},
            "operations": [],
        });
        serde_json::from_value(value).expect("deserialize a row")
    }

    #[test]
    fn unmatched_selection_lists_the_candidates() {
        let rows = [
            row("web", 7, "api"),
            row("web", 7, "ui"),
            row("archiver", 9, "archive.query"),
        ];
        let check = |selection: Selection<'_>, expected: Result<u32, &str>| {
            let found = selection.find(&rows).map(|row| row.pid);
            assert_eq!(found, expected.map_err(str::to_owned));
        };
        let any = Selection::default();
        let member = |name| Selection {
            member: Some(name),
            ..any
        };
        check(member("ui"), Ok(7));
        check(
            member("nope"),
            Err("no process hosts member nope; hosted members: api, archive.query, ui"),
        );
        check(
            Selection {
                pid: Some(999_999),
                ..any
            },
            Err(
                "process 999999 is not a process of Davy; running processes: web (--pid 7), archiver (--pid 9); `davy record --pid 999999` samples any process",
            ),
        );
        let process = |name| Selection {
            process: Some(name),
            ..any
        };
        check(
            process("nope"),
            Err("unknown process nope; running processes: web (--pid 7), archiver (--pid 9)"),
        );
        check(
            Selection {
                process: Some("archiver"),
                ..member("ui")
            },
            Err(
                "no process matches all of --process, --pid and --member; processes that host the member: web (--pid 7)",
            ),
        );
        check(
            any,
            Err("several processes match; select one: web (--pid 7), archiver (--pid 9)"),
        );
    }
}
