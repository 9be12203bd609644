//! The lists of members and endpoints that `davy members`, `davy top` and the page show.

use crate::cgroup_report::CgroupReport;
use crate::control::Control;
use crate::fleet::AgedReport;
use crate::parameters::Parameters;
use crate::report::{KernelStatistics, MemberReport};
use crate::toggling::ToggleRow;
use crate::usage::Usage;
use axum::Json;
use axum::extract::State;
use davy_base::Timestamp;
use davy_runtime::Target;
use davy_store::Tick;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A member in a process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemberRow {
    /// State and usage of the member.
    #[serde(flatten)]
    pub member: MemberReport,
    /// The process that hosts it; comma-separated with `by=member`.
    pub process: String,
    /// The machine of that process.
    pub host: String,
    /// The unix process id.
    pub pid: u32,
    /// The address of the debug port of that process.
    pub debug: String,
    /// The effective toggle of the member.
    pub toggle: ToggleRow,
    /// The last run in the fleet, for periodic members.
    pub last_run: Option<LastRun>,
    /// How long the member has been in its state, in seconds.
    pub since_seconds: f64,
    /// The age of the report of its process, in seconds.
    pub age_seconds: f64,
    /// The resources of its process as the kernel counts them.
    pub kernel: KernelStatistics,
}

/// The last run of a periodic member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// When a run last succeeded, in milliseconds since 1970.
    pub at: Option<i64>,
    /// The outcome of the last run: `done`, `failed`, `timed-out` or `stopped`.
    pub outcome: Option<String>,
    /// The error of the last run.
    pub error: Option<String>,
    /// The duration of the last run, in seconds.
    pub duration_seconds: Option<f64>,
    /// The time between the starts of two runs, in seconds.
    pub interval_seconds: f64,
    /// Whether no run has succeeded for more than two intervals.
    pub stale: bool,
}

/// A route of an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EndpointRow {
    /// The operation: the endpoint's name in toggles, metrics and profiles.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with `{name}` for variable parts.
    pub path: String,
    /// The member that serves it.
    pub member: String,
    /// A description.
    pub summary: String,
    /// The effective toggle.
    pub toggle: ToggleRow,
    /// Its usage in all processes.
    #[serde(flatten)]
    pub usage: Usage,
}

/// How the rows of members are grouped.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Grouping {
    #[default]
    Process,
    Member,
}

#[derive(Deserialize)]
pub(super) struct Grouped {
    #[serde(default)]
    by: Grouping,
}

impl Control {
    /// A row for each member of each process.
    pub(crate) async fn member_rows(&self) -> Vec<MemberRow> {
        let fleet = self.fleet().await;
        let rows = |AgedReport { report, age }: AgedReport| {
            let kernel = report.kernel;
            let age_seconds = age.as_secs_f64();
            report
                .members
                .into_iter()
                .map(|member| MemberRow {
                    toggle: self.toggle_row(&Target::Member(member.name.clone())),
                    last_run: fleet
                        .ticks
                        .iter()
                        .find(|tick| tick.name == member.name)
                        .map(|tick| last_run(tick, fleet.now)),
                    process: report.process.clone(),
                    host: report.host.clone(),
                    pid: report.pid,
                    debug: report.debug.clone(),
                    // Both times are by the clock of the member's host.
                    since_seconds: (report.at - member.since).max(0) as f64 / 1e3 + age_seconds,
                    age_seconds,
                    kernel,
                    member,
                })
                .collect::<Vec<_>>()
        };
        let mut rows: Vec<MemberRow> = fleet.reports.into_iter().flat_map(rows).collect();
        share_cgroups(&mut rows);
        rows
    }
}

/// Gives the members of a child process its cgroup, which the process reports that started it.
fn share_cgroups(rows: &mut [MemberRow]) {
    let supervised = rows.iter().filter_map(|row| {
        let child = (row.host.clone(), row.member.child_pid?);
        Some((child, row.member.cgroup.clone()?))
    });
    let cgroups: BTreeMap<(String, u32), CgroupReport> = supervised.collect();
    for row in rows {
        if row.member.cgroup.is_none() {
            row.member.cgroup = cgroups.get(&(row.host.clone(), row.pid)).cloned();
        }
    }
}

/// The last run of a tick; `now` is the database's time.
pub(crate) fn last_run(tick: &Tick, now: Timestamp) -> LastRun {
    LastRun {
        at: tick.last_run,
        outcome: tick.outcome.clone(),
        error: tick.error.clone(),
        duration_seconds: tick.duration_ms.map(|ms| ms as f64 / 1e3),
        interval_seconds: tick.interval_ms as f64 / 1e3,
        stale: tick.is_stale(now.millis()),
    }
}

pub(super) async fn members(
    State(control): State<Control>,
    Parameters(grouped): Parameters<Grouped>,
) -> Json<Vec<MemberRow>> {
    let rows = control.member_rows().await;
    Json(match grouped.by {
        Grouping::Member => by_member(rows),
        Grouping::Process => rows,
    })
}

/// One row for each member, over all processes. Its state is that of a process in which it is not
/// ready, if there is one.
fn by_member(rows: Vec<MemberRow>) -> Vec<MemberRow> {
    let mut sums: BTreeMap<String, MemberRow> = BTreeMap::new();
    for row in rows {
        let Some(sum) = sums.get_mut(&row.member.name) else {
            sums.insert(row.member.name.clone(), row);
            continue;
        };
        sum.process = format!("{}, {}", sum.process, row.process);
        if sum.member.state == "ready" && row.member.state != "ready" {
            sum.since_seconds = row.since_seconds;
        }
        let (sum, member) = (&mut sum.member, row.member);
        sum.usage.add(&member.usage);
        sum.restarts += member.restarts;
        sum.leaked += member.leaked;
        // Each process has one of its own, and processes may share a machine's memory.
        sum.cgroup = None;
        if sum.state == "ready" && member.state != "ready" {
            sum.state = member.state;
            sum.since = member.since;
            sum.error = member.error;
            sum.note = member.note;
        }
        for operation in member.operations {
            match sum
                .operations
                .iter_mut()
                .find(|known| known.op == operation.op)
            {
                Some(known) => known.usage.add(&operation.usage),
                None => sum.operations.push(operation),
            }
        }
    }
    sums.into_values().collect()
}

pub(super) async fn endpoints(State(control): State<Control>) -> Json<Vec<EndpointRow>> {
    let fleet = control.fleet().await;
    let mut usage: BTreeMap<(String, String), Usage> = BTreeMap::new();
    let reports = fleet.reports.iter().map(|aged| &aged.report);
    for member in reports.flat_map(|report| &report.members) {
        for operation in &member.operations {
            let key = (member.name.clone(), operation.op.clone());
            usage.entry(key).or_default().add(&operation.usage);
        }
    }
    let rows = control.0.endpoints.operations().iter().map(|op| {
        let key = (op.member.to_owned(), op.id.to_owned());
        EndpointRow {
            operation: op.id.to_owned(),
            method: op.method.to_owned(),
            path: op.path.to_owned(),
            member: op.member.to_owned(),
            summary: op.summary.to_owned(),
            toggle: control.toggle_row(&Target::Endpoint(op.id.to_owned())),
            usage: usage.get(&key).cloned().unwrap_or_default(),
        }
    });
    Json(rows.collect())
}
