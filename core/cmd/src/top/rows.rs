//! The rows of `davy top`: usages summed over processes, the dearest first.

use clap::ValueEnum;
use davy_control::{MemberRow, Usage};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Grain {
    /// A member.
    Member,
    /// An operation of a member.
    Operation,
}

/// The figure that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    Heap,
    Cpu,
    Alloc,
    Tasks,
    Requests,
    P99,
    Db,
    Name,
}

impl Sort {
    /// The figure that rows are sorted by; for names, that of the heap.
    pub(super) fn figure(self, usage: &Usage) -> f64 {
        match self {
            Self::Heap | Self::Name => usage.heap_bytes as f64,
            Self::Cpu => usage.cpu,
            Self::Alloc => usage.alloc_bytes_per_second,
            Self::Tasks => usage.tasks as f64,
            Self::Requests => usage.requests_per_second,
            Self::P99 => usage.request_p99_seconds,
            Self::Db => usage.db_queries as f64,
        }
    }
}

/// What one member or operation costs in all processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) member: String,
    pub(super) op: String,
    /// The processes that it runs in.
    pub(super) processes: Vec<String>,
    #[serde(flatten)]
    pub(super) usage: Usage,
}

/// The rows of an answer.
pub(super) fn rows(members: &[MemberRow], by: Grain, sort: Sort) -> Vec<Row> {
    let mut sums: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut add = |member: &MemberRow, op: &str, usage: &Usage| {
        let key = (member.member.name.clone(), op.to_owned());
        let row = sums.entry(key).or_insert_with(|| Row {
            member: member.member.name.clone(),
            op: op.to_owned(),
            processes: Vec::new(),
            usage: Usage::default(),
        });
        row.usage.add(usage);
        if !row.processes.contains(&member.process) {
            row.processes.push(member.process.clone());
        }
    };
    for member in members {
        match by {
            Grain::Member => add(member, "", &member.member.usage),
            Grain::Operation => {
                for operation in &member.member.operations {
                    add(member, &operation.op, &operation.usage);
                }
            }
        }
    }
    let mut rows: Vec<Row> = sums.into_values().collect();
    if sort != Sort::Name {
        rows.sort_by(|a, b| sort.figure(&b.usage).total_cmp(&sort.figure(&a.usage)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_control::OperationReport;

    fn member(process: &str, name: &str, operations: &[(&str, u64)]) -> MemberRow {
        let usage = |heap_bytes| Usage {
            heap_bytes,
            ..Usage::default()
        };
        let value = serde_json::json!({
            "name": name, "process": process, "host": "h", "pid": 1, "debug": "", "state": "ready",
            "since": 0, "restarts": 0, "leaked": 0, "child_pid": null, "error": null, "note": null,
            "toggle": {}, "last_run": null, "connections": null, "age_seconds": 0.0, "kernel": {},
            "operations": [],
        });
        let mut row: MemberRow = serde_json::from_value(value).expect("a row");
        for (op, heap) in operations {
            row.member.usage.add(&usage(*heap));
            row.member.operations.push(OperationReport {
                op: (*op).to_owned(),
                usage: usage(*heap),
            });
        }
        row
    }

    #[test]
    fn rows_are_summed_over_processes_and_the_dearest_comes_first() {
        let members = [
            member("web-1", "api", &[("ListAllJobs", 70), ("ListMembers", 5)]),
            member("web-2", "api", &[("ListAllJobs", 30)]),
            member("web-1", "ui", &[("GetPage", 90)]),
        ];
        let told = |by| -> Vec<String> {
            let rows = rows(&members, by, Sort::Heap).into_iter();
            rows.map(|row| {
                format!(
                    "{} {} {} {}",
                    row.member,
                    row.op,
                    row.usage.heap_bytes,
                    row.processes.len()
                )
            })
            .collect()
        };
        assert_eq!(
            told(Grain::Operation),
            [
                "api ListAllJobs 100 2",
                "ui GetPage 90 1",
                "api ListMembers 5 1"
            ]
        );
        assert_eq!(told(Grain::Member), ["api  105 2", "ui  90 1"]);
    }
}
