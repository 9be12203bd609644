//! The lists of members and endpoints, as the API, `davy members`, `davy top` and the page show them.

use crate::control::Control;
use crate::report::{Kernel, MemberReport, Report};
use crate::usage::Usage;
use axum::Json;
use axum::extract::{Query, State};
use davy_runtime::Target;
use davy_store::Tick;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A member, with the process that hosts it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its state and its usage.
    #[serde(flatten)]
    pub member: MemberReport,
    /// The process that hosts it; several, with commas, where rows are summed.
    pub process: String,
    /// The machine of that process.
    pub host: String,
    /// The unix process.
    pub pid: u32,
    /// The address of that process's debug port.
    pub debug: String,
    /// How the member is toggled.
    pub toggle: ToggleRow,
    /// Of periodic members: the last run in the fleet.
    pub last_run: Option<LastRun>,
    /// How old the report of its process is, in seconds.
    pub age_seconds: f64,
    /// What the kernel counts of its process.
    pub kernel: Kernel,
}

/// How something is toggled, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToggleRow {
    /// Whether it may run or answer.
    pub enabled: bool,
    /// Requests at a time.
    pub limit: Option<u32>,
    /// How long a request may hold its place under the limit.
    pub slot_seconds: Option<f64>,
    /// Who toggled it; nobody where it is as built in.
    pub who: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: Option<i64>,
    /// Where that was said: a file, a variable, a flag, or live.
    pub source: Option<String>,
}

/// The last run of a periodic member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// The end of the last success, in milliseconds since 1970.
    pub at: Option<i64>,
    /// How the last run ended.
    pub outcome: Option<String>,
    /// What went wrong in it.
    pub error: Option<String>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// From one run to the next.
    pub interval_seconds: f64,
    /// Whether the last success is more than two intervals ago.
    pub stale: bool,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointRow {
    /// Its name.
    pub operation: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The member that serves it.
    pub member: String,
    /// What it does.
    pub summary: String,
    /// How it is toggled.
    pub toggle: ToggleRow,
    /// What it costs in all processes.
    #[serde(flatten)]
    pub usage: Usage,
}

#[derive(Deserialize)]
pub(super) struct By {
    by: Option<String>,
}

impl Control {
    fn toggle_row(&self, target: &Target) -> ToggleRow {
        let effective = self.0.toggles.effective(target);
        let by = effective.by.as_ref();
        ToggleRow {
            enabled: effective.enabled,
            limit: effective.limit,
            slot_seconds: effective.limit.map(|_| effective.slot.as_secs_f64()),
            who: by.map(|by| by.who.clone()).filter(|who| !who.is_empty()),
            why: by.map(|by| by.why.clone()).filter(|why| !why.is_empty()),
            at: by.map(|by| by.at.millis()).filter(|at| *at > 0),
            source: by.map(|by| by.source.clone()),
        }
    }

    /// The rows of every member of every process.
    pub(crate) async fn member_rows(&self) -> Vec<MemberRow> {
        let (reports, ticks) = self.fleet().await;
        let now = self.0.clock.now().millis();
        let rows = |report: Report| {
            let age_seconds = (now - report.at).max(0) as f64 / 1e3;
            let kernel = report.kernel;
            report
                .members
                .into_iter()
                .map(|member| MemberRow {
                    toggle: self.toggle_row(&Target::Member(member.name.clone())),
                    last_run: ticks
                        .iter()
                        .find(|tick| tick.name == member.name)
                        .map(|tick| last_run(tick, now)),
                    process: report.process.clone(),
                    host: report.host.clone(),
                    pid: report.pid,
                    debug: report.debug.clone(),
                    age_seconds,
                    kernel,
                    member,
                })
                .collect::<Vec<_>>()
        };
        reports.into_iter().flat_map(rows).collect()
    }
}

/// The last run of a tick, at a time in milliseconds since 1970.
pub(crate) fn last_run(tick: &Tick, now: i64) -> LastRun {
    LastRun {
        at: tick.last_run,
        outcome: tick.outcome.clone(),
        error: tick.error.clone(),
        duration_seconds: tick.duration_ms.map(|ms| ms as f64 / 1e3),
        interval_seconds: tick.interval_ms as f64 / 1e3,
        stale: tick.is_stale(now),
    }
}

pub(super) async fn members(
    State(control): State<Control>,
    Query(by): Query<By>,
) -> Json<Vec<MemberRow>> {
    let rows = control.member_rows().await;
    Json(match by.by.as_deref() {
        Some("member") => summed(rows),
        _ => rows,
    })
}

/// One row a member, for all processes together. Of states the most telling one is shown.
fn summed(rows: Vec<MemberRow>) -> Vec<MemberRow> {
    let mut sums: BTreeMap<String, MemberRow> = BTreeMap::new();
    for row in rows {
        let Some(sum) = sums.get_mut(&row.member.name) else {
            sums.insert(row.member.name.clone(), row);
            continue;
        };
        sum.process = format!("{}, {}", sum.process, row.process);
        let (sum, member) = (&mut sum.member, row.member);
        sum.usage.add(&member.usage);
        sum.restarts += member.restarts;
        sum.leaked += member.leaked;
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
    let (reports, _) = control.fleet().await;
    let mut usages: BTreeMap<(String, String), Usage> = BTreeMap::new();
    for member in reports.iter().flat_map(|report| &report.members) {
        for operation in &member.operations {
            let key = (member.name.clone(), operation.op.clone());
            usages.entry(key).or_default().add(&operation.usage);
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
            usage: usages.get(&key).cloned().unwrap_or_default(),
        }
    });
    Json(rows.collect())
}
