//! The drill `wedged-worker`: a worker whose destroys hang, one that lies, one whose containers were removed by hand,
//! and one that left and came back from a snapshot. The others must not notice.

use super::database::with_store;
use super::observed::{get_json, quantile};
use super::placement::{DrillFleet, DrillPlacement};
use super::report::{Check, check, progress};
use super::simulated::{SimulatedWorker, collector_settings};
use crate::failure::Failure;
use davy_base::Clock;
use davy_profile::units::seconds;
use davy_store::SimulatedWorkers;
use davy_worker::{ProtocolConnections, WorkerKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Options of `davy drill wedged-worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct WedgedOptions {
    /// How the members are placed
    #[arg(long, value_enum, default_value_t = DrillPlacement::One)]
    placement: DrillPlacement,
    /// Database, sqlite:PATH or postgres://... [default: a temporary file]
    #[arg(long, default_value = "")]
    database: String,
    /// Workers that work
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    workers: u32,
    /// Containers of each worker that are in use all the time
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=200))]
    containers: u32,
    /// From one report of a worker to the next, and from one run of a collector to the next
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Rounds before and with the wedged workers
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(4..=1_000))]
    rounds: u32,
    /// Print the results as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const PREFIX: &str = "wedged";
/// Garbage that every worker gets in each round.
const GARBAGE: u32 = 3;
const DESTROY: Duration = Duration::from_millis(20);
/// Longer than reports must lack a container before its row is removed.
const MISSING_MS: i64 = 301_000;
/// Within this time every wedged worker must be named by the API that the page Fleet shows.
const NAMED: Duration = Duration::from_mins(1);

/// What is wrong with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Hangs,
    Lies,
    Robbed,
    Restored,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Hangs, Self::Lies, Self::Robbed, Self::Restored];

    /// Whether the row that the page Fleet shows names it.
    fn is_named(self, row: &serde_json::Value) -> bool {
        let status = row["status"].as_str().unwrap_or("{}");
        let status: serde_json::Value = serde_json::from_str(status).unwrap_or_default();
        match self {
            Self::Hangs => status["hung"].as_u64().unwrap_or(0) > 0,
            Self::Lies => row["foreign_handles"]
                .as_str()
                .is_some_and(|text| text != "[]"),
            Self::Robbed => row["missing"].as_i64().unwrap_or(0) > 0,
            Self::Restored => row["unknown_at"].is_i64(),
        }
    }

    const fn check_name(self) -> &'static str {
        match self {
            Self::Hangs => "worker with hung destroys is named",
            Self::Lies => "worker that lies is named",
            Self::Robbed => "worker that was robbed is named",
            Self::Restored => "worker from a snapshot is named",
        }
    }
}

struct Drill<'a> {
    options: &'a WedgedOptions,
    fleet: DrillFleet,
    clock: Clock,
    connections: ProtocolConnections,
    workers: Vec<SimulatedWorker>,
    /// When each garbage container of a healthy worker was made.
    made: BTreeMap<String, Duration>,
    garbage: u32,
    /// Containers in use that a worker was told to destroy.
    lost: u64,
}

/// Plays the drill and returns the checks.
pub(super) fn play(options: &WedgedOptions) -> Result<Vec<Check>, Failure> {
    progress("starting the processes");
    let settings = collector_settings(options.interval);
    let clock = Clock::system();
    let fleet = DrillFleet::start_with(options.placement, &options.database, &settings)?;
    fleet.until_ready(&clock)?;
    let of = SimulatedWorkers {
        prefix: PREFIX,
        workers: options.workers + Fault::ALL.len() as u32,
        containers: options.containers,
    };
    let key = WorkerKey::generate().map(Arc::new);
    let key = key.ok_or_else(|| Failure::failed("the system has no random numbers"))?;
    progress("registering the workers");
    with_store(&fleet.database, async |store| {
        store.load_worker_keys(of, &key.public()).await
    })?;
    let connections = ProtocolConnections::new(&fleet.frontends[0], key);
    let register = |number| {
        SimulatedWorker::register(&connections, &of.worker(number), of.containers, DESTROY)
    };
    let workers = (0..of.workers)
        .map(register)
        .collect::<Result<Vec<_>, _>>()?;
    with_store(&fleet.database, async |store| {
        store.load_simulated_containers(of).await
    })?;
    let mut drill = Drill {
        options,
        fleet,
        clock,
        connections,
        workers,
        made: BTreeMap::new(),
        garbage: 0,
        lost: 0,
    };
    let checks = drill.play();
    progress("removing the rows of the drill");
    let removed = with_store(&drill.fleet.database, async |store| {
        store.delete_simulation(PREFIX).await
    });
    let checks = checks?;
    removed?;
    Ok(checks)
}

impl Drill<'_> {
    fn healthy(&self) -> usize {
        self.options.workers as usize
    }

    fn index(&self, fault: Fault) -> usize {
        self.healthy() + fault as usize
    }

    fn play(&mut self) -> Result<Vec<Check>, Failure> {
        progress("every worker works");
        let mut before = self.rounds(self.options.rounds, &|_| true)?;
        progress("four workers are wedged");
        let (first, snapshot) = self.wedge()?;
        let wedged_at = self.clock.monotonic();
        let mut named: BTreeMap<&'static str, Duration> = BTreeMap::new();
        let mut during = Vec::new();
        for _ in 0..self.options.rounds {
            during.extend(self.rounds(1, &|_| true)?);
            let rows: Vec<serde_json::Value> =
                get_json(&self.fleet.frontends[0], "/api/v1/workers?limit=1000")?;
            for fault in Fault::ALL {
                let name = &self.workers[self.index(fault)].name;
                let row = rows.iter().find(|row| row["name"] == name.as_str());
                if row.is_some_and(|row| fault.is_named(row)) {
                    let took = self.clock.monotonic().saturating_sub(wedged_at);
                    named.entry(fault.check_name()).or_insert(took);
                }
            }
        }
        // Everything would be missing if this report counted.
        let late = first.protocol.clone().sync(BTreeMap::new(), first.status());
        let clone_refused = late.is_ok_and(|synced| !synced.accepted);
        progress("everything heals");
        let robbed = self.workers[self.index(Fault::Robbed)].name.clone();
        with_store(&self.fleet.database, async |store| {
            store.age_missing(&robbed, MISSING_MS).await
        })?;
        for fault in [Fault::Hangs, Fault::Lies] {
            let index = self.index(fault);
            self.workers[index].hangs = false;
            self.workers[index].lies_about.clear();
        }
        // A round is a run of the collectors and a report; marks and sweeps of the same garbage take two.
        self.rounds(4, &|_| false)?;
        let (left, doomed) = with_store(&self.fleet.database, async |store| {
            store.simulated_handles(PREFIX).await
        })?;
        let expected: usize = self
            .workers
            .iter()
            .map(|worker| worker.handles().len())
            .sum();
        let (slow, fast) = (quantile(&mut during, 99), quantile(&mut before, 99));
        let limit = fast.mul_f64(1.25) + self.options.interval / 2;
        let mut checks = vec![
            check(
                "garbage of healthy workers, p99 before",
                seconds(fast.as_secs_f64()),
                "",
                true,
            ),
            check(
                "garbage of healthy workers, p99 with wedged ones",
                format!(
                    "{} of {} containers",
                    seconds(slow.as_secs_f64()),
                    during.len()
                ),
                &format!("at most {}", seconds(limit.as_secs_f64())),
                slow <= limit && !during.is_empty(),
            ),
        ];
        for fault in Fault::ALL {
            let after = named.get(fault.check_name());
            let measured = after.map_or_else(
                || "never".to_owned(),
                |took| format!("after {}", seconds(took.as_secs_f64())),
            );
            checks.push(check(
                fault.check_name(),
                measured,
                "within 1 min",
                after.is_some_and(|took| *took <= NAMED),
            ));
        }
        checks.extend([
            check(
                "process that the snapshot replaced",
                if clone_refused { "refused" } else { "accepted" }.to_owned(),
                "refused",
                clone_refused,
            ),
            check(
                "containers that only the snapshot had",
                format!("{} of {snapshot} left", self.snapshot_left()),
                "all destroyed",
                self.snapshot_left() == 0,
            ),
            check(
                "containers in use that were to be destroyed",
                self.lost.to_string(),
                "none",
                self.lost == 0,
            ),
            check(
                "doomed rows after healing",
                doomed.to_string(),
                "none",
                doomed == 0,
            ),
            check(
                "rows after healing",
                left.to_string(),
                &format!("{expected}, what the workers have"),
                left == expected as i64,
            ),
        ]);
        Ok(checks)
    }

    /// Breaks the four workers. Returns the process that the snapshot replaces, and how many containers only the
    /// snapshot has.
    fn wedge(&mut self) -> Result<(SimulatedWorker, usize), Failure> {
        let hangs = self.index(Fault::Hangs);
        self.workers[hangs].hangs = true;
        let victim = self.workers[0].handles();
        let lies = self.index(Fault::Lies);
        self.workers[lies].lies_about = victim.into_keys().take(5).collect();
        let robbed = self.index(Fault::Robbed);
        let own: Vec<String> = self.workers[robbed].handles().into_keys().take(7).collect();
        for handle in &own {
            self.workers[robbed].remove(handle);
        }
        // What it reports again was destroyed long ago, or belongs to a database that was restored since.
        let restored = self.index(Fault::Restored);
        let name = self.workers[restored].name.clone();
        let mut again =
            SimulatedWorker::register(&self.connections, &name, self.options.containers, DESTROY)?;
        again.has = self.workers[restored].has.clone();
        again
            .has
            .others
            .extend((0..9).map(|number| format!("{name}-s{number}")));
        let first = std::mem::replace(&mut self.workers[restored], again);
        Ok((first, 9))
    }

    fn snapshot_left(&self) -> usize {
        let restored = &self.workers[self.index(Fault::Restored)];
        let of_snapshot = format!("{}-s", restored.name);
        let others = restored.has.others.iter();
        others
            .filter(|handle| handle.starts_with(&of_snapshot))
            .count()
    }

    /// Lets all workers report once in each interval; gives each garbage first if `has_garbage` says so. Returns how
    /// long the garbage of healthy workers took from its creation to the report without it.
    fn rounds(
        &mut self,
        rounds: u32,
        has_garbage: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<Duration>, Failure> {
        let mut swept = Vec::new();
        for _ in 0..rounds {
            let start = self.clock.monotonic();
            let (first, names): (u32, Vec<(usize, String)>) = (
                self.garbage,
                self.workers
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| has_garbage(*index))
                    .map(|(index, worker)| (index, worker.name.clone()))
                    .collect(),
            );
            self.garbage += GARBAGE;
            let mut made = Vec::new();
            with_store(&self.fleet.database, async |store| {
                for (index, name) in &names {
                    made.push((*index, store.load_orphans(name, first, GARBAGE).await?));
                }
                Ok(())
            })?;
            let now = self.clock.monotonic();
            for (index, handles) in made {
                if index < self.healthy() {
                    self.made
                        .extend(handles.iter().map(|handle| (handle.clone(), now)));
                }
                self.workers[index].has.others.extend(handles);
            }
            for index in 0..self.workers.len() {
                self.report(index, &mut swept)?;
            }
            let took = self.clock.monotonic().saturating_sub(start);
            std::thread::park_timeout(self.options.interval.saturating_sub(took));
        }
        Ok(swept)
    }

    fn report(&mut self, index: usize, swept: &mut Vec<Duration>) -> Result<(), Failure> {
        let worker = &mut self.workers[index];
        let reported = worker.sync(self.clock.monotonic());
        let failed = Failure::because(format!("simulated worker {} cannot report", worker.name));
        let (gone, synced) = reported.map_err(failed)?;
        let in_use = |handle: &&String| handle.contains("-c");
        // The builds of a worker whose process was replaced are over.
        let is_restored = index == self.options.workers as usize + Fault::Restored as usize;
        if !is_restored {
            self.lost += synced.doomed.keys().filter(in_use).count() as u64;
        }
        let now = self.clock.monotonic();
        let times = gone.iter().filter_map(|handle| self.made.remove(handle));
        swept.extend(times.map(|made| now.saturating_sub(made)));
        Ok(())
    }
}
