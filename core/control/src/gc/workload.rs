//! Periodic members that mark containers and volumes, and move builds and workers on. They never connect to a
//! worker: it fetches what is doomed with its next report.

use crate::control::Control;
use crate::metrics::catalogue::entry;
use crate::objects::BuildObjects;
use crate::periodic::{Plan, Run, periodic};
use davy_archive::metrics::register;
use davy_runtime::{Error, Member};
use davy_store::{Marked, Store, SyncOutcome};
use prometheus::{HistogramVec, IntCounterVec, Registry};
use std::time::Duration;

/// Rows that one statement changes, at most. 5,000 rows take Postgres about 50 ms.
const BATCH: u32 = 5_000;
/// Batches of one run, at most; the next run goes on.
const BATCHES_MAX: u32 = 200;
/// Builds whose objects one run deletes, at most; the next run goes on.
const OBJECT_BUILDS_MAX: u32 = 500;
/// How long a run may take.
const RUN_LIMIT: Duration = Duration::from_secs(25);

/// What a collector of the workload collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// Builds (`gc.builds`).
    Builds,
    /// Containers (`gc.containers`).
    Containers,
    /// Volumes (`gc.volumes`).
    Volumes,
    /// Workers (`gc.workers`).
    Workers,
}

/// Upper bounds of the histogram buckets of reports, in seconds.
const SYNC_BOUNDS_SECONDS: [f64; 10] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The metrics of all collectors, and of the reports of workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CollectorMetrics {
    marked: IntCounterVec,
    swept: IntCounterVec,
    synced: HistogramVec,
}

impl CollectorMetrics {
    /// Registers the metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name| {
            let entry = entry(name)?;
            register(registry, IntCounterVec::new(entry.opts(), entry.labels)?)
        };
        let synced = entry("davy_worker_sync_duration_seconds")?;
        let bounds = synced.histogram_opts(&SYNC_BOUNDS_SECONDS);
        Ok(Self {
            marked: counters("davy_gc_marked_total")?,
            swept: counters("davy_gc_swept_total")?,
            synced: register(registry, HistogramVec::new(bounds, synced.labels)?)?,
        })
    }

    /// Counts the report of a worker, and what the worker has destroyed since the last one.
    pub(crate) fn synced(&self, outcome: &Result<SyncOutcome, davy_store::Error>, took: Duration) {
        let name = match outcome {
            Ok(SyncOutcome::Accepted { swept, .. }) => {
                for (member, rows) in ["gc.containers", "gc.volumes"].into_iter().zip(swept) {
                    self.swept.with_label_values(&[member]).inc_by(*rows);
                }
                "accepted"
            }
            Ok(SyncOutcome::Stale { .. }) => "stale",
            Ok(SyncOutcome::UnknownWorker) => "unknown",
            Err(_) => "failed",
        };
        let histogram = self.synced.with_label_values(&[name]);
        histogram.observe(took.as_secs_f64());
    }

    fn count(&self, member: &str, marked: Marked) {
        for (outcome, rows) in [
            ("doomed", marked.doomed),
            ("timed_out", marked.timed_out),
            ("removed", marked.removed),
            ("moved", marked.moved),
        ] {
            self.marked
                .with_label_values(&[member, outcome])
                .inc_by(rows);
        }
    }
}

/// The member `gc.*` of a collector.
pub fn collector(
    control: &Control,
    store: Store,
    name: &str,
    interval: Duration,
    collector: Collector,
    metrics: CollectorMetrics,
) -> Member {
    let plan = Plan {
        name: name.to_owned(),
        interval,
        run_limit: RUN_LIMIT,
    };
    let member = name.to_owned();
    let objects = control.0.objects.get().cloned();
    periodic(control, store, plan, move |run| {
        let objects = objects.clone();
        collect(run, collector, member.clone(), metrics.clone(), objects)
    })
}

async fn collect(
    run: Run,
    collector: Collector,
    member: String,
    metrics: CollectorMetrics,
    objects: Option<BuildObjects>,
) -> Result<(), Error> {
    if let (Collector::Builds, Some(objects)) = (collector, &objects) {
        delete_objects(&run, objects).await?;
    }
    if collector == Collector::Builds {
        run.store.mark_terminals(BATCH).await?;
    }
    let mut total = Marked::default();
    for _ in 0..BATCHES_MAX {
        let marked = match collector {
            Collector::Builds => run.store.mark_builds(BATCH).await?,
            Collector::Containers => run.store.mark_containers(BATCH).await?,
            Collector::Volumes => run.store.mark_volumes(BATCH).await?,
            Collector::Workers => run.store.mark_workers(BATCH).await?,
        };
        metrics.count(&member, marked);
        total.add(marked);
        let full = u64::from(BATCH);
        let is_last = [
            marked.doomed,
            marked.timed_out,
            marked.removed,
            marked.moved,
        ]
        .iter()
        .all(|rows| *rows < full);
        if is_last {
            break;
        }
    }
    if !total.is_empty() {
        let Marked {
            doomed,
            timed_out,
            removed,
            moved,
        } = total;
        tracing::info!(member, doomed, timed_out, removed, moved, "garbage marked");
    }
    Ok(())
}

/// Deletes the objects of builds that are about to be removed. A build whose objects cannot be deleted is kept.
async fn delete_objects(run: &Run, objects: &BuildObjects) -> Result<(), Error> {
    for build in run.store.expired_objects(OBJECT_BUILDS_MAX).await? {
        match objects.delete(build).await {
            Ok(()) => run.store.deleted_objects(build).await?,
            Err(error) => {
                tracing::warn!(build, %error, "cannot delete the objects of a build");
                break;
            }
        }
    }
    Ok(())
}
