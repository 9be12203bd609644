//! The incident `list-all-jobs`, step by step.

use super::command::run;
use super::database::with_store;
use super::evidence::{CULPRIT, Resource};
use super::load::{Load, OTHER_PATHS, agent, get};
use super::placement::DrillFleet;
use super::report::{Check, progress};
use super::spec::{DrillSpec, Requirements};
use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use davy_base::Clock;
use davy_control::MemberRow;
use davy_profile::units::{bytes, count, seconds};
use davy_store::NewJob;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Interval at which a condition is polled.
const POLL: Duration = Duration::from_millis(250);
/// Timeout for processes to start and for memory to settle.
const PATIENCE: Duration = Duration::from_mins(1);
/// Rounds of normal use before the load, and the pause between them.
const NORMAL_ROUNDS: usize = 4;
const NORMAL_PAUSE: Duration = Duration::from_secs(3);
/// The team that owns the jobs.
const TEAM: &str = "drill";
/// Memory has settled when it changes by less than this ratio within the span.
const SETTLED_RATIO: f64 = 0.02;
const SETTLED_SPAN: Duration = Duration::from_secs(3);

/// Loads the jobs, plays the incident and returns the checks.
pub(super) fn play(spec: &DrillSpec, fleet: &DrillFleet) -> Result<Vec<Check>, Failure> {
    let incident = Incident {
        spec,
        fleet,
        clock: Clock::system(),
        agent: agent(),
    };
    incident.until_ready()?;
    progress(&format!("loading {} jobs into the database", spec.jobs));
    with_store(&fleet.database, async |store| {
        store.delete_jobs(TEAM).await?;
        store
            .load_jobs((0..spec.jobs).map(|number| job(number, spec.config_bytes)))
            .await
    })?;
    let checks = incident.play();
    progress("deleting the jobs");
    with_store(&fleet.database, async |store| store.delete_jobs(TEAM).await)?;
    checks
}

struct Incident<'a> {
    spec: &'a DrillSpec,
    fleet: &'a DrillFleet,
    clock: Clock,
    agent: ureq::Agent,
}

impl Incident<'_> {
    fn play(&self) -> Result<Vec<Check>, Failure> {
        let frontend = &self.fleet.frontends[0];
        progress("normal use");
        self.use_normally()?;
        progress("waiting for memory to settle");
        let baseline = self.settled_memory()?;
        let mut checks = vec![Check {
            name: "memory before",
            measured: format!(
                "{} in {}",
                mib(baseline),
                count(self.processes()?.len(), "process", "processes")
            ),
            required: String::new(),
            passed: true,
        }];
        progress(&format!(
            "{} clients list all jobs for {} s",
            self.spec.clients, self.spec.storm_seconds
        ));
        let load = Load::start(&self.fleet.frontends, self.spec.clients);
        let mut peak = baseline;
        let start = self.clock.monotonic();
        self.poll(Duration::from_secs(self.spec.storm_seconds), || {
            peak = peak.max(self.memory()?);
            Ok(None::<()>)
        })?;
        let during = load.take_slowest();
        progress("finding the operation with davy top and a profile");
        let evidence = self.evidence(frontend, &mut peak)?;
        let completed = load.completed.load(Ordering::Relaxed);
        let span = self.clock.monotonic().saturating_sub(start).as_secs_f64();
        checks.push(Check {
            name: "memory under load",
            measured: format!(
                "{} at {:.1} responses/s",
                mib(peak),
                completed as f64 / span
            ),
            required: "above the baseline".to_owned(),
            passed: peak > baseline,
        });
        checks.push(Check {
            name: "slowest other endpoint under load",
            measured: latency(&during),
            required: String::new(),
            passed: true,
        });
        checks.extend(evidence);
        progress("disabling the endpoint and waiting for memory to recover");
        checks.extend(self.recovery(frontend, load, baseline, peak)?);
        Ok(checks)
    }

    /// Whether `davy top` and a profile find the operation.
    fn evidence(&self, frontend: &str, peak: &mut u64) -> Result<Vec<Check>, Failure> {
        let named_seconds = self.spec.must.named_seconds;
        let mut checks = Vec::new();
        for resource in [Resource::Heap, Resource::Cpu] {
            let start = self.clock.monotonic();
            let mut first = String::new();
            let is_named = self.poll(Duration::from_secs_f64(named_seconds), || {
                *peak = (*peak).max(self.memory()?);
                first = resource.first_row(frontend)?;
                Ok((first == CULPRIT).then_some(()))
            })?;
            let took = self.clock.monotonic().saturating_sub(start);
            checks.push(Check {
                name: resource.row_check(),
                measured: format!("{first} after {}", seconds(took.as_secs_f64())),
                required: format!("{CULPRIT} within {named_seconds} s"),
                passed: is_named,
            });
            let mut frame = None;
            self.poll(Duration::from_secs(30), || {
                frame = resource.handler_frame(&self.agent, &members(frontend)?);
                Ok(frame.as_ref().map(|_| ()))
            })?;
            checks.push(Check {
                name: resource.profile_check(),
                passed: frame.is_some(),
                measured: frame.unwrap_or_else(|| "not found".to_owned()),
                required: "the handler's frame".to_owned(),
            });
        }
        Ok(checks)
    }

    /// Disables the endpoint and measures how fast the fleet recovers.
    fn recovery(
        &self,
        frontend: &str,
        load: Load,
        baseline: u64,
        peak: u64,
    ) -> Result<Vec<Check>, Failure> {
        let Requirements {
            recovered_seconds,
            recovered_ratio,
            others_milliseconds,
            ..
        } = self.spec.must;
        toggle("disable", "drill", frontend)?;
        let disabled_at = self.clock.monotonic();
        let is_refused = self.poll(Duration::from_secs(5), || {
            let refuses =
                |url: &String| get(&self.agent, &format!("{url}/api/v1/jobs")) == Some(503);
            Ok(self.fleet.frontends.iter().all(refuses).then_some(()))
        })?;
        let refused_after = self.clock.monotonic().saturating_sub(disabled_at);
        // Discards measurements of requests that were sent before the endpoint was disabled.
        load.take_slowest();
        let target = baseline as f64 * recovered_ratio;
        let mut memory = peak;
        let is_recovered = self.poll(Duration::from_secs_f64(recovered_seconds), || {
            memory = self.memory()?;
            Ok((memory as f64 <= target).then_some(()))
        })?;
        let recovered_after = self.clock.monotonic().saturating_sub(disabled_at);
        let after = load.take_slowest();
        load.stop();
        toggle("enable", "drill is over", frontend)?;
        Ok(vec![
            Check {
                name: "disabled on every frontend",
                measured: format!("after {}", seconds(refused_after.as_secs_f64())),
                required: "within 1 s".to_owned(),
                passed: is_refused && refused_after <= Duration::from_secs(1) + POLL,
            },
            Check {
                name: "memory after the endpoint was disabled",
                measured: format!(
                    "{} after {}",
                    mib(memory),
                    seconds(recovered_after.as_secs_f64())
                ),
                required: format!("{} within {recovered_seconds} s", mib(target as u64)),
                passed: is_recovered,
            },
            Check {
                name: "slowest other endpoint afterwards",
                measured: latency(&after),
                required: format!("at most {others_milliseconds} ms"),
                passed: after.0.as_secs_f64() * 1e3 <= others_milliseconds,
            },
        ])
    }

    /// Normal use: every client lists the jobs a few times, the other endpoints are requested, profiles
    /// are taken. Afterwards threads, connections and the profiler's symbols exist as in a process that
    /// has run for a day.
    fn use_normally(&self) -> Result<(), Failure> {
        let frontends = &self.fleet.frontends;
        for _ in 0..NORMAL_ROUNDS {
            std::thread::scope(|scope| {
                for client in 0..self.spec.clients {
                    let frontend = &frontends[client % frontends.len()];
                    scope.spawn(move || get(&agent(), &format!("{frontend}/api/v1/jobs")));
                }
            });
            self.poll(NORMAL_PAUSE, || {
                for frontend in frontends {
                    for path in OTHER_PATHS {
                        get(&self.agent, &format!("{frontend}{path}"));
                    }
                }
                Ok(None::<()>)
            })?;
        }
        let members = members(&frontends[0])?;
        for resource in [Resource::Heap, Resource::Cpu] {
            resource.handler_frame(&self.agent, &members);
        }
        Ok(())
    }

    /// Polls until the condition returns a value or the timeout passes. Returns whether it did.
    fn poll<T>(
        &self,
        timeout: Duration,
        mut condition: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<bool, Failure> {
        let end = self.clock.monotonic() + timeout;
        loop {
            if condition()?.is_some() {
                return Ok(true);
            }
            if self.clock.monotonic() >= end {
                return Ok(false);
            }
            std::thread::park_timeout(POLL);
        }
    }

    fn until_ready(&self) -> Result<(), Failure> {
        let is_ready =
            |frontend: &String| get(&self.agent, &format!("{frontend}/api/v1/jobs")) == Some(200);
        let all = || Ok(self.fleet.frontends.iter().all(is_ready).then_some(()));
        if self.poll(PATIENCE, all)? {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "the processes did not become ready within {} s",
            PATIENCE.as_secs()
        )))
    }

    /// The resident bytes of each process of the fleet, by pid.
    fn processes(&self) -> Result<BTreeMap<u32, u64>, Failure> {
        let rows = members(&self.fleet.frontends[0])?;
        let pids = rows.into_iter().map(|row| row.pid);
        Ok(pids.map(|pid| (pid, resident_bytes(pid))).collect())
    }

    fn memory(&self) -> Result<u64, Failure> {
        Ok(self.processes()?.values().sum())
    }

    fn settled_memory(&self) -> Result<u64, Failure> {
        let mut last = (self.clock.monotonic(), self.memory()?);
        self.poll(PATIENCE, || {
            let now = self.clock.monotonic();
            if now.saturating_sub(last.0) < SETTLED_SPAN {
                return Ok(None);
            }
            let memory = self.memory()?;
            let change = (memory as f64 - last.1 as f64).abs() / last.1.max(1) as f64;
            last = (now, memory);
            Ok((change < SETTLED_RATIO).then_some(()))
        })?;
        Ok(last.1)
    }
}

fn toggle(verb: &str, why: &str, frontend: &str) -> Result<(), Failure> {
    let arguments = [
        "endpoint",
        verb,
        "ListAllJobs",
        "--why",
        why,
        "--server",
        frontend,
    ];
    run(&arguments).map(drop)
}

fn mib(value: u64) -> String {
    bytes(value as f64)
}

fn latency((took, path): &(Duration, String)) -> String {
    if path.is_empty() {
        return "no request".to_owned();
    }
    format!("{} ({path})", seconds(took.as_secs_f64()))
}

fn members(server: &str) -> Result<Vec<MemberRow>, Failure> {
    let server = Server {
        server: server.to_owned(),
        token: None,
    };
    Client::new(&server)?.get_json("/api/v1/members", &[])
}

/// Resident memory of a process on this machine; 0 for one that has exited.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// A realistic job: a configuration of `config_bytes` and up to two builds.
fn job(number: usize, config_bytes: usize) -> NewJob {
    let build = |state: &str| {
        format!(
            "{{\"id\":{number},\"name\":\"{}\",\"status\":\"{state}\",\"start_time\":1790000000,\"end_time\":1790000300}}",
            number % 97
        )
    };
    NewJob {
        team: TEAM.to_owned(),
        pipeline: format!("pipeline-{}", number / 40),
        name: format!("job-{}", number % 40),
        paused: number.is_multiple_of(50),
        config: format!(
            "{{\"plan\":[{{\"get\":\"repo\"}},{{\"task\":\"{}\"}}]}}",
            "x".repeat(config_bytes)
        ),
        last_build: Some(build("succeeded")),
        next_build: number.is_multiple_of(10).then(|| build("started")),
    }
}
