//! The drill `gc-storm`: all containers of all workers become garbage at once. A central collector is the baseline,
//! and the collectors that only mark, with workers that sweep, are measured in the same run.

use super::central::{self, CentralRun};
use super::command::run;
use super::database::with_store;
use super::observed::{ControlPlane, quantile, slow_statements};
use super::pace::{self, Measured};
use super::placement::{DrillFleet, DrillPlacement};
use super::probe::{self, Probe};
use super::report::{Check, check, progress};
use super::simulated::{COLLECTORS, SimulatedWorker, collector_settings};
use crate::failure::Failure;
use davy_base::Clock;
use davy_profile::units::seconds;
use davy_store::SimulatedWorkers;
use davy_worker::{ProtocolConnections, WorkerKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Options of `davy drill gc-storm`.
#[derive(Debug, clap::Args)]
pub(crate) struct StormOptions {
    /// How the members are placed
    #[arg(long, value_enum, default_value_t = DrillPlacement::One)]
    placement: DrillPlacement,
    /// Database, sqlite:PATH or postgres://... [default: a temporary file]
    #[arg(long, default_value = "")]
    database: String,
    /// Number of simulated workers
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=99_999))]
    workers: u32,
    /// Containers of each worker
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=250))]
    containers: u32,
    /// From one report of a worker to the next, and from one run of a collector to the next
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// How long the fleet reports before the storm
    #[arg(long, default_value = "15s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    steady: Duration,
    /// How long one destroy takes
    #[arg(long, default_value = "5ms", value_name = "DURATION", value_parser = humantime::parse_duration)]
    destroy: Duration,
    /// How long the central collector may run
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    central: Duration,
    /// How long the storm may last
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// Print the results as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const CENTRAL: &str = "central";
const STORM: &str = "storm";

struct Storm<'a> {
    options: &'a StormOptions,
    fleet: DrillFleet,
    clock: Clock,
}

/// Plays the drill and returns the checks.
pub(super) fn play(options: &StormOptions) -> Result<Vec<Check>, Failure> {
    progress("starting the processes");
    let settings = collector_settings(options.interval);
    let storm = Storm {
        options,
        fleet: DrillFleet::start_with(options.placement, &options.database, &settings)?,
        clock: Clock::system(),
    };
    storm.fleet.until_ready(&storm.clock)?;
    let checks = storm.play();
    progress("removing the rows of the drill");
    let removed = with_store(&storm.fleet.database, async |store| {
        store.delete_simulation(CENTRAL).await?;
        store.delete_simulation(STORM).await
    });
    let checks = checks?;
    removed?;
    Ok(checks)
}

impl Storm<'_> {
    fn of(&self, prefix: &'static str) -> SimulatedWorkers<'static> {
        SimulatedWorkers {
            prefix,
            workers: self.options.workers,
            containers: self.options.containers,
        }
    }

    fn toggle(&self, verb: &str) -> Result<(), Failure> {
        let server = self.fleet.frontends[0].as_str();
        for member in COLLECTORS {
            run(&[
                "member",
                verb,
                member,
                "--why",
                "drill gc-storm",
                "--server",
                server,
            ])?;
        }
        Ok(())
    }

    fn play(&self) -> Result<Vec<Check>, Failure> {
        let total = u64::from(self.options.workers) * u64::from(self.options.containers);
        let central = self.central()?;
        let of = self.of(STORM);
        let mut workers = self.register(of)?;
        progress(&format!(
            "loading {total} containers of {} workers",
            of.workers
        ));
        with_store(&self.fleet.database, async |store| {
            store.load_simulated_containers(of).await
        })?;
        progress("the fleet reports");
        let server = self.fleet.frontends[0].clone();
        let before = ControlPlane::read(&server)?;
        let started = self.clock.monotonic();
        let mut steady = self.phase(&mut workers, &|_| {
            self.elapsed(started) >= self.options.steady
        });
        let steady_took = self.elapsed(started).as_secs_f64();
        let steady_use = ControlPlane::read(&server)?.since(before);
        progress(&format!("all {total} containers become garbage"));
        let before = ControlPlane::read(&server)?;
        with_store(&self.fleet.database, async |store| {
            store.end_simulated_builds(STORM).await
        })?;
        let started = self.clock.monotonic();
        let probe = Probe::start(&self.fleet, &self.clock)?;
        let mut storm = self.phase(&mut workers, &|swept| {
            swept >= total || self.elapsed(started) >= self.options.limit
        });
        let storm_took = self.elapsed(started);
        let mut starts = probe.stop();
        let storm_use = ControlPlane::read(&server)?.since(before);
        let (slow, statements) = slow_statements(&server, "gc.containers", "1")?;
        let left = self.settle(&mut workers)?;
        let mut swept: Vec<Duration> = storm
            .swept
            .iter()
            .map(|at| at.saturating_sub(started))
            .collect();
        let swept_count = swept.len() as u64;
        let mut checks = vec![
            check(
                "sync p99 in steady state",
                seconds(quantile(&mut steady.latencies, 99).as_secs_f64()),
                "below 1 s",
                quantile(&mut steady.latencies, 99) < Duration::from_secs(1),
            ),
            check(
                "reports in steady state",
                format!(
                    "{} in {}, {} failed{}",
                    steady.latencies.len(),
                    seconds(steady_took),
                    steady.errors,
                    reason(&steady)
                ),
                "none failed",
                steady.errors == 0,
            ),
            check(
                "CPU of the control plane in steady state",
                format!("{:.2} cores", steady_use.cpu_seconds / steady_took),
                "below 1 core",
                steady_use.cpu_seconds / steady_took < 1.0,
            ),
            check(
                "queries a report in steady state",
                format!(
                    "{:.1}, with BEGIN and COMMIT",
                    steady_use.gateway_queries as f64 / steady.latencies.len().max(1) as f64
                ),
                "at most 6: four statements",
                (steady_use.gateway_queries as f64) <= 6.0 * steady.latencies.len().max(1) as f64,
            ),
            check(
                "containers destroyed in the storm",
                format!(
                    "{swept_count} of {total} in {}",
                    seconds(storm_took.as_secs_f64())
                ),
                "all",
                swept_count == total,
            ),
            check(
                "sync p99 in the storm",
                seconds(quantile(&mut storm.latencies, 99).as_secs_f64()),
                "below 5 s",
                quantile(&mut storm.latencies, 99) < Duration::from_secs(5),
            ),
            check(
                "CPU of the control plane in the storm",
                format!(
                    "{:.2} cores",
                    storm_use.cpu_seconds / storm_took.as_secs_f64()
                ),
                "",
                true,
            ),
            check(
                "statements of gc.containers above 1 s",
                format!("{slow} of {statements}"),
                "none",
                slow == 0,
            ),
            check(
                "start of a build during the storm, p99",
                format!(
                    "{} of {}",
                    seconds(quantile(&mut starts, 99).as_secs_f64()),
                    starts.len()
                ),
                probe::REQUIRED,
                quantile(&mut starts, 99) < probe::LIMIT,
            ),
            check("rows left", format!("{left}"), "none", left == 0),
        ];
        checks.extend(self.compare(
            &central,
            &mut swept,
            storm_use.gateway_queries + storm_use.collector_queries,
        ));
        Ok(checks)
    }

    fn elapsed(&self, since: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(since)
    }

    fn compare(&self, central: &CentralRun, swept: &mut [Duration], queries: u64) -> Vec<Check> {
        let per = |statements: u64, destroyed: usize| statements as f64 / destroyed.max(1) as f64;
        let ours = per(queries, swept.len());
        let theirs = per(central.statements, central.destroyed as usize);
        let rate = central.destroyed as f64 / central.took.as_secs_f64().max(0.001);
        let total = f64::from(self.options.workers) * f64::from(self.options.containers);
        let projected = Duration::from_secs_f64(0.99 * total / rate.max(0.001));
        let p99 = quantile(swept, 99);
        let mut measured = central.swept.clone();
        let central_p99 = if central.is_complete {
            quantile(&mut measured, 99)
        } else {
            projected
        };
        let how = if central.is_complete {
            "measured"
        } else {
            "projected from its rate"
        };
        vec![
            check(
                "central baseline",
                format!(
                    "{} destroyed in {}, {:.0}/s",
                    central.destroyed,
                    seconds(central.took.as_secs_f64()),
                    rate
                ),
                "",
                true,
            ),
            check(
                "connections to workers",
                format!("0; central {}", central.connections),
                "0",
                true,
            ),
            check(
                "queries a destroyed container",
                format!(
                    "{ours:.3}; central {theirs:.2}: {:.1} times as many",
                    theirs / ours.max(1e-9)
                ),
                "central at least 10 times as many",
                theirs >= 10.0 * ours,
            ),
            check(
                "end of build to destroyed, p99",
                format!(
                    "{}; central {} ({how})",
                    seconds(p99.as_secs_f64()),
                    seconds(central_p99.as_secs_f64())
                ),
                "lower than central",
                p99 < central_p99,
            ),
        ]
    }

    /// The central collector on garbage of its own, while the collectors of the fleet are disabled.
    fn central(&self) -> Result<CentralRun, Failure> {
        progress("the central collector collects");
        self.toggle("disable")?;
        let of = self.of(CENTRAL);
        let (destroy, limit, clock) = (
            self.options.destroy,
            self.options.central,
            self.clock.clone(),
        );
        let mut result = None;
        with_store(&self.fleet.database, async |store| {
            store.load_simulated_containers(of).await?;
            store.end_simulated_builds(CENTRAL).await?;
            result = Some(central::run(store, of, destroy, limit, &clock).await);
            store.delete_simulation(CENTRAL).await
        })?;
        self.toggle("enable")?;
        result.unwrap_or_else(|| Err(Failure::failed("the central collector did not run")))
    }

    fn register(&self, of: SimulatedWorkers<'_>) -> Result<Vec<SimulatedWorker>, Failure> {
        progress(&format!("registering {} workers", of.workers));
        let key = WorkerKey::generate().map(Arc::new);
        let key = key.ok_or_else(|| Failure::failed("the system has no random numbers"))?;
        with_store(&self.fleet.database, async |store| {
            store.load_worker_keys(of, &key.public()).await
        })?;
        let servers = &self.fleet.frontends;
        let connections: Vec<ProtocolConnections> = servers
            .iter()
            .map(|server| ProtocolConnections::new(server, key.clone()))
            .collect();
        let numbers: Vec<u32> = (0..of.workers).collect();
        let parts = std::thread::scope(|scope| {
            let parts = numbers.chunks(numbers.len().div_ceil(16).max(1));
            let threads: Vec<_> = parts
                .map(|part| {
                    let connections = &connections;
                    scope.spawn(move || -> Result<Vec<SimulatedWorker>, Failure> {
                        let one = |number: &u32| {
                            let server = &connections[*number as usize % connections.len()];
                            SimulatedWorker::register(
                                server,
                                &of.worker(*number),
                                of.containers,
                                self.options.destroy,
                            )
                        };
                        part.iter().map(one).collect()
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<_>, Failure>>| {
                let panicked = |_| Failure::failed("a thread of the drill panicked");
                thread.join().map_err(panicked)?
            };
            threads
                .into_iter()
                .map(join)
                .collect::<Result<Vec<_>, Failure>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Lets the workers report until `is_over`, which gets the number of destroyed containers.
    fn phase(&self, workers: &mut [SimulatedWorker], is_over: &dyn Fn(u64) -> bool) -> Measured {
        let (stop, reports, swept) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                pace::run(
                    workers,
                    self.options.interval,
                    &self.clock,
                    &stop,
                    &reports,
                    &swept,
                )
            });
            while !is_over(swept.load(Ordering::Relaxed)) {
                std::thread::park_timeout(Duration::from_millis(100));
            }
            stop.store(true, Ordering::Relaxed);
            running.join().unwrap_or_default()
        })
    }

    /// Two more rounds; returns the rows that are left then.
    fn settle(&self, workers: &mut [SimulatedWorker]) -> Result<i64, Failure> {
        let started = self.clock.monotonic();
        let span = self.options.interval * 2 + Duration::from_secs(2);
        let _ = self.phase(workers, &|_| self.elapsed(started) >= span);
        let (left, _) = with_store(&self.fleet.database, async |store| {
            store.simulated_handles(STORM).await
        })?;
        Ok(left)
    }
}

fn reason(measured: &Measured) -> String {
    if measured.errors == 0 {
        return String::new();
    }
    format!(": {}", measured.last_error)
}
