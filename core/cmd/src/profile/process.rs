//! Which process is meant, by its name, its number or a member of it.

use super::Options;
use crate::cli::Failure;
use crate::client::Client;
use crate::members::read;
use davy_control::MemberRow;
use std::collections::{BTreeMap, BTreeSet};

/// The one process that is meant, as a row of one of its members.
pub(super) fn process(options: &Options) -> Result<MemberRow, Failure> {
    let body = Client::new(&options.server)?.get("/api/v1/members", &[])?;
    let rows: Vec<MemberRow> = read("members", &body)?;
    let meant = Meant {
        process: options.process.as_deref(),
        pid: options.pid,
        member: options.member.as_deref(),
    };
    meant.among(&rows).cloned().map_err(Failure::Usage)
}

/// What was said of it.
#[derive(Clone, Copy, Debug, Default)]
struct Meant<'a> {
    process: Option<&'a str>,
    pid: Option<u32>,
    member: Option<&'a str>,
}

impl Meant<'_> {
    fn among<'a>(&self, rows: &'a [MemberRow]) -> Result<&'a MemberRow, String> {
        let is_named = |row: &MemberRow| self.process.is_none_or(|name| row.process == name);
        let is_numbered = |row: &MemberRow| self.pid.is_none_or(|pid| row.pid == pid);
        let hosts = |row: &MemberRow| {
            self.member
                .is_none_or(|name| row.member.name == name && row.member.state != "-")
        };
        if let Some(name) = self.process
            && !rows.iter().any(is_named)
        {
            return Err(format!(
                "there is no process {name}; there are: {}",
                listed(rows.iter())
            ));
        }
        if let Some(pid) = self.pid
            && !rows.iter().any(is_numbered)
        {
            return Err(format!(
                "no process of Davy has the number {pid} (`davy record --pid {pid}` samples any other); there are: {}",
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
                "no process hosts a member {name}; there are: {}",
                members.join(", ")
            ));
        }
        let meant = |row: &&MemberRow| is_named(row) && is_numbered(row) && hosts(row);
        let found: BTreeMap<u32, &MemberRow> = rows
            .iter()
            .filter(meant)
            .map(|row| (row.pid, row))
            .collect();
        let mut one = found.values();
        match (one.next(), one.next()) {
            (Some(row), None) => Ok(row),
            (None, _) => Err(format!(
                "no process is all of what was said; there are: {}",
                listed(rows.iter().filter(|row| hosts(row)))
            )),
            (Some(_), Some(_)) => Err(format!(
                "several processes are meant; choose one: {}",
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
            "toggle": {}, "last_run": null, "connections": null, "age_seconds": 0.0, "kernel": {},
            "operations": [],
        });
        serde_json::from_value(value).expect("a row")
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let rows = [
            row("web", 7, "api"),
            row("web", 7, "ui"),
            row("archiver", 9, "archive.query"),
        ];
        let check = |meant: Meant<'_>, expected: Result<u32, &str>| {
            let found = meant.among(&rows).map(|row| row.pid);
            assert_eq!(found, expected.map_err(str::to_owned));
        };
        let any = Meant::default();
        let member = |name| Meant {
            member: Some(name),
            ..any
        };
        check(member("ui"), Ok(7));
        check(
            member("nope"),
            Err("no process hosts a member nope; there are: api, archive.query, ui"),
        );
        check(
            Meant {
                pid: Some(999_999),
                ..any
            },
            Err(
                "no process of Davy has the number 999999 (`davy record --pid 999999` samples any other); there are: web (--pid 7), archiver (--pid 9)",
            ),
        );
        let process = |name| Meant {
            process: Some(name),
            ..any
        };
        check(
            process("nope"),
            Err("there is no process nope; there are: web (--pid 7), archiver (--pid 9)"),
        );
        check(
            Meant {
                process: Some("archiver"),
                ..member("ui")
            },
            Err("no process is all of what was said; there are: web (--pid 7)"),
        );
        check(
            any,
            Err("several processes are meant; choose one: web (--pid 7), archiver (--pid 9)"),
        );
    }
}
