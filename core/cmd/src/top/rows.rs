//! The rows of `davy top`: usage summed over processes, in descending order.

use crate::client::Client;
use crate::failure::Failure;
use clap::ValueEnum;
use davy_control::{MemberRow, Usage};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TopGrain {
    /// A member
    Member,
    /// An operation of a member
    Operation,
}

/// The column that rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TopSort {
    Heap,
    Cpu,
    Alloc,
    Tasks,
    Requests,
    P99,
    Db,
    Name,
}

impl TopSort {
    /// The value to sort by. For names it is the heap, which the sparkline shows.
    pub(super) fn value(self, usage: &Usage) -> f64 {
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

/// The usage of a member or operation in all processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) member: String,
    pub(super) op: String,
    /// The processes that host it.
    pub(super) processes: Vec<String>,
    #[serde(flatten)]
    pub(super) usage: Usage,
}

/// Fetches the members of all processes.
pub(super) fn fetch(client: &Client) -> Result<Vec<MemberRow>, Failure> {
    client.get_json("/api/v1/members", &[])
}

/// Sums and sorts the usage of members.
pub(super) fn rows(members: &[MemberRow], by: TopGrain, sort: TopSort) -> Vec<Row> {
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
            TopGrain::Member => add(member, "", &member.member.usage),
            TopGrain::Operation => {
                for operation in &member.member.operations {
                    add(member, &operation.op, &operation.usage);
                }
            }
        }
    }
    let mut rows: Vec<Row> = sums.into_values().collect();
    if sort != TopSort::Name {
        rows.sort_by(|a, b| sort.value(&b.usage).total_cmp(&sort.value(&a.usage)));
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
            "toggle": {}, "last_run": null, "connections": null, "since_seconds": 0.0, "age_seconds": 0.0, "kernel": {},
            "operations": [],
        });
        let mut row: MemberRow = serde_json::from_value(value).expect("deserialize a row");
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
    fn rows_sum_processes_and_sort_descending() {
        let members = [
            member("web-1", "api", &[("ListAllJobs", 70), ("ListMembers", 5)]),
            member("web-2", "api", &[("ListAllJobs", 30)]),
            member("web-1", "ui", &[("GetPage", 90)]),
        ];
        let summary = |by| -> Vec<String> {
            let rows = rows(&members, by, TopSort::Heap).into_iter();
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
            summary(TopGrain::Operation),
            [
                "api ListAllJobs 100 2",
                "ui GetPage 90 1",
                "api ListMembers 5 1"
            ]
        );
        assert_eq!(summary(TopGrain::Member), ["api  105 2", "ui  90 1"]);
    }
}
