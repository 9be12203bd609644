//! The gauges of workers, builds and collectors, which are read from the database at each scrape. Only processes that
//! host the collector of workers export them: the backends.

use super::families::Families;
use crate::api::overview::backlogs;
use crate::control::{Control, Database};
use crate::report::Report;
use davy_model::wire::Status;
use davy_store::{Backlog, BuildSums, WorkerRow, WorkerSum};
use prometheus::proto::Metric;

/// The member whose host exports these metrics.
const EXPORTER: &str = "gc.workers";
/// Workers with metrics of their own, at most: those with the most containers.
const WORKERS_MAX: u32 = 1_000;

struct Workload {
    now: i64,
    workers: Vec<WorkerRow>,
    sums: Vec<WorkerSum>,
    builds: BuildSums,
    backlogs: [(&'static str, Backlog); 4],
}

async fn read(control: &Control) -> Result<Workload, davy_store::Error> {
    let store = &control.0.store;
    Ok(Workload {
        workers: store.fullest_workers(WORKERS_MAX).await?,
        sums: store.worker_sums().await?,
        builds: store.build_sums().await?,
        backlogs: backlogs(store).await?,
        // Last, so that no age is negative.
        now: store.now().await?.millis(),
    })
}

/// Adds the families, if this process exports them and the database responds.
pub(super) async fn add(
    families: &mut Families<'_>,
    control: &Control,
    report: &Report,
) -> Result<(), prometheus::Error> {
    let is_exporter = report.members.iter().any(|member| member.name == EXPORTER);
    if !is_exporter || control.database() != Database::Up {
        return Ok(());
    }
    let workload = read(control).await;
    control.observe_database(&workload);
    match workload {
        Ok(workload) => workload.add(families),
        Err(error) => {
            tracing::warn!(%error, "cannot read the metrics of workers");
            Ok(())
        }
    }
}

impl Workload {
    fn age_seconds(&self, since: Option<i64>) -> f64 {
        since.map_or(0.0, |since| {
            self.now.saturating_sub(since).max(0) as f64 / 1e3
        })
    }

    fn add(&self, families: &mut Families<'_>) -> Result<(), prometheus::Error> {
        let sums = |families: &Families<'_>, value: fn(&WorkerSum) -> i64| -> Vec<Metric> {
            let gauge =
                |sum: &WorkerSum| families.gauge(&[("state", &sum.state)], value(sum) as f64);
            self.sums.iter().map(gauge).collect()
        };
        families.add("davy_workers", sums(families, |sum| sum.workers))?;
        let open = [
            ("pending", self.builds.pending),
            ("started", self.builds.started),
        ];
        let open = open.map(|(state, builds)| families.gauge(&[("state", state)], builds as f64));
        families.add("davy_builds", open.to_vec())?;
        let waiting = self.age_seconds(self.builds.pending_since);
        families.add(
            "davy_build_wait_seconds",
            vec![families.gauge(&[], waiting)],
        )?;
        let (mut rows, mut oldest) = (Vec::new(), Vec::new());
        for (member, backlog) in &self.backlogs {
            for (state, count) in [("due", backlog.due), ("doomed", backlog.doomed)] {
                let labels = [("member", *member), ("state", state)];
                rows.push(families.gauge(&labels, count as f64));
            }
            let age = self.age_seconds(backlog.doomed_since);
            oldest.push(families.gauge(&[("member", *member)], age));
        }
        families.add("davy_gc_backlog", rows)?;
        families.add("davy_gc_oldest_doomed_seconds", oldest)?;
        self.workers(families)
    }

    fn workers(&self, families: &mut Families<'_>) -> Result<(), prometheus::Error> {
        let each = |families: &Families<'_>, value: &dyn Fn(&WorkerRow) -> Option<f64>| {
            let gauge =
                |row: &WorkerRow| Some(families.gauge(&[("worker", &row.name)], value(row)?));
            self.workers.iter().filter_map(gauge).collect::<Vec<_>>()
        };
        let containers = each(families, &|row| Some(row.reported_containers as f64));
        families.add("davy_worker_containers", containers)?;
        let volumes = each(families, &|row| Some(row.reported_volumes as f64));
        families.add("davy_worker_volumes", volumes)?;
        let disk = each(families, &|row| row.disk_bytes.map(|bytes| bytes as f64));
        families.add("davy_worker_disk_bytes", disk)?;
        let free = each(families, &|row| {
            row.disk_free_bytes.map(|bytes| bytes as f64)
        });
        families.add("davy_worker_disk_free_bytes", free)?;
        let age = each(families, &|row| Some(self.age_seconds(Some(row.synced_at))));
        families.add("davy_worker_report_age_seconds", age)?;
        let foreign = each(families, &|row| {
            Some(f64::from(u8::from(row.foreign_handles != "[]")))
        });
        families.add("davy_worker_foreign_handles", foreign)?;
        let mut destroys = Vec::new();
        for row in &self.workers {
            let status = row.status.as_deref();
            let status: Option<Status> = status.and_then(|text| serde_json::from_str(text).ok());
            let Status {
                destroying, hung, ..
            } = status.unwrap_or_default();
            for (state, count) in [("in_flight", destroying), ("hung", hung)] {
                let labels = [("worker", row.name.as_str()), ("state", state)];
                destroys.push(families.gauge(&labels, count as f64));
            }
        }
        families.add("davy_worker_destroys", destroys)
    }
}
