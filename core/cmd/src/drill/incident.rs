//! The incident `list-all-jobs`, step by step.

use super::evidence::{Figure, GUILTY};
use super::place::{Place, davy};
use super::storm::{OTHERS, Storm, agent, ask};
use super::table::Line;
use super::{Must, Spec};
use crate::cli::Failure;
use davy_base::Clock;
use davy_control::MemberRow;
use davy_profile::units::bytes;
use davy_store::{NewJob, Store};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often something is looked at that takes time.
const LOOK: Duration = Duration::from_millis(250);
/// How long the processes may take to start, and memory to settle.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often each screen lists the jobs before the storm, and the time from one to the next.
const NORMAL_ROUNDS: usize = 4;
const NORMAL_PAUSE: Duration = Duration::from_secs(3);
/// The team whose jobs these are.
const TEAM: &str = "drill";
/// Of memory that has settled, two looks three seconds apart differ by less than this.
const SETTLED_RATIO: f64 = 0.02;
const SETTLED_SPAN: Duration = Duration::from_secs(3);

/// Plays it.
pub(super) fn play(spec: &Spec, place: &Place) -> Result<Vec<Line>, Failure> {
    let incident = Incident {
        spec,
        place,
        clock: Clock::system(),
        agent: agent(),
    };
    incident.until_ready()?;
    with_store(&place.database, async |store| {
        store.delete_jobs(TEAM).await?;
        store
            .load_jobs((0..spec.jobs).map(|number| job(number, spec.config_bytes)))
            .await
    })?;
    let lines = incident.play();
    with_store(&place.database, async |store| store.delete_jobs(TEAM).await)?;
    lines
}

struct Incident<'a> {
    spec: &'a Spec,
    place: &'a Place,
    clock: Clock,
    agent: ureq::Agent,
}

impl Incident<'_> {
    fn play(&self) -> Result<Vec<Line>, Failure> {
        let Must {
            named_seconds,
            recovered_seconds,
            recovered_ratio,
            others_milliseconds,
        } = self.spec.must;
        let frontend = &self.place.frontends[0];
        self.use_normally()?;
        let baseline = self.settled_memory()?;
        let storm = Storm::begin(&self.place.frontends, self.spec.clients);
        let mut peak = baseline;
        let storming = self.clock.monotonic();
        self.look(Duration::from_secs(self.spec.storm_seconds), || {
            peak = peak.max(self.memory()?);
            Ok(None::<()>)
        })?;
        let during = storm.take_slowest();

        let mut evidence = Vec::new();
        for figure in [Figure::Heap, Figure::Cpu] {
            let start = self.clock.monotonic();
            let mut first = String::new();
            let named = self.look(Duration::from_secs_f64(named_seconds), || {
                peak = peak.max(self.memory()?);
                first = figure.first_row(frontend)?;
                Ok((first == GUILTY).then_some(()))
            })?;
            let after = self.clock.monotonic().saturating_sub(start);
            evidence.push(Line {
                what: figure.row_line(),
                found: format!("{first} after {:.1} s", after.as_secs_f64()),
                must: format!("{GUILTY} in {named_seconds} s"),
                holds: named,
            });
            let mut frame = None;
            self.look(Duration::from_secs(30), || {
                frame = figure.guilty_frame(&self.agent, &members(frontend)?);
                Ok(frame.as_ref().map(|_| ()))
            })?;
            evidence.push(Line {
                what: figure.profile_line(),
                holds: frame.is_some(),
                found: frame.unwrap_or_else(|| "no frame of it".to_owned()),
                must: "its handler's frame".to_owned(),
            });
        }
        let answered = storm.answered.load(Ordering::Relaxed);
        let span = self
            .clock
            .monotonic()
            .saturating_sub(storming)
            .as_secs_f64();

        run(&[
            "endpoint",
            "disable",
            "ListAllJobs",
            "--why",
            "drill",
            "--server",
            frontend,
        ])?;
        let toggled = self.clock.monotonic();
        let refused = self.look(Duration::from_secs(5), || {
            let refuses = |frontend: &String| {
                ask(&self.agent, &format!("{frontend}/api/v1/jobs")) == Some(503)
            };
            Ok(self.place.frontends.iter().all(refuses).then_some(()))
        })?;
        let obeyed_after = self.clock.monotonic().saturating_sub(toggled);
        // What was asked before the toggle may still be on its way.
        storm.take_slowest();
        let enough = baseline as f64 * recovered_ratio;
        let mut now = peak;
        let recovered = self.look(Duration::from_secs_f64(recovered_seconds), || {
            now = self.memory()?;
            Ok((now as f64 <= enough).then_some(()))
        })?;
        let recovered_after = self.clock.monotonic().saturating_sub(toggled);
        let after = storm.take_slowest();
        storm.end();
        run(&[
            "endpoint",
            "enable",
            "ListAllJobs",
            "--why",
            "drill is over",
            "--server",
            frontend,
        ])?;

        let mib = |value: u64| bytes(value as f64);
        let line = |what, found, must, holds| Line {
            what,
            found,
            must,
            holds,
        };
        let mut lines = vec![
            line(
                "memory before",
                format!("{} in {} processes", mib(baseline), self.processes()?.len()),
                String::new(),
                true,
            ),
            line(
                "memory in the storm",
                format!(
                    "{} at {:.1} answers a second",
                    mib(peak),
                    answered as f64 / span
                ),
                "above the baseline".to_owned(),
                peak > baseline,
            ),
            line(
                "slowest other endpoint in the storm",
                format!("{} ms ({})", during.0.as_millis(), during.1),
                String::new(),
                true,
            ),
        ];
        lines.append(&mut evidence);
        lines.extend([
            line(
                "obeyed by every frontend",
                format!("after {} ms", obeyed_after.as_millis()),
                "in a second".to_owned(),
                refused && obeyed_after <= Duration::from_secs(1) + LOOK,
            ),
            line(
                "memory after the toggle",
                format!("{} after {:.1} s", mib(now), recovered_after.as_secs_f64()),
                format!("{} in {recovered_seconds} s", mib(enough as u64)),
                recovered,
            ),
            line(
                "slowest other endpoint after the toggle",
                format!("{} ms ({})", after.0.as_millis(), after.1),
                format!("{others_milliseconds} ms"),
                after.0.as_secs_f64() * 1e3 <= others_milliseconds,
            ),
        ]);
        Ok(lines)
    }

    /// A while of normal use: each screen lists the jobs now and then, other endpoints are asked, a
    /// profile is taken. Threads, connections and the profiler's names are there afterwards, as they
    /// are in a process that has worked for a day.
    fn use_normally(&self) -> Result<(), Failure> {
        let frontends = &self.place.frontends;
        for _ in 0..NORMAL_ROUNDS {
            std::thread::scope(|scope| {
                for client in 0..self.spec.clients {
                    let frontend = &frontends[client % frontends.len()];
                    scope.spawn(move || ask(&agent(), &format!("{frontend}/api/v1/jobs")));
                }
            });
            self.look(NORMAL_PAUSE, || {
                for frontend in frontends {
                    for path in OTHERS {
                        ask(&self.agent, &format!("{frontend}{path}"));
                    }
                }
                Ok(None::<()>)
            })?;
        }
        let members = members(&frontends[0])?;
        for figure in [Figure::Heap, Figure::Cpu] {
            figure.guilty_frame(&self.agent, &members);
        }
        Ok(())
    }

    /// Looks until there is something, or for so long.
    fn look<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<bool, Failure> {
        let end = self.clock.monotonic() + patience;
        loop {
            if look()?.is_some() {
                return Ok(true);
            }
            if self.clock.monotonic() >= end {
                return Ok(false);
            }
            std::thread::park_timeout(LOOK);
        }
    }

    fn until_ready(&self) -> Result<(), Failure> {
        let is_ready =
            |frontend: &String| ask(&self.agent, &format!("{frontend}/api/v1/jobs")) == Some(200);
        let all = || Ok(self.place.frontends.iter().all(is_ready).then_some(()));
        if self.look(PATIENCE, all)? {
            return Ok(());
        }
        Err(Failure::Failed(
            "the drill's processes did not become ready within a minute".to_owned(),
        ))
    }

    /// Resident memory of each process, by its pid.
    fn processes(&self) -> Result<BTreeMap<u32, u64>, Failure> {
        let rows = members(&self.place.frontends[0])?;
        let alive = rows.into_iter().map(|row| row.pid);
        Ok(alive.map(|pid| (pid, resident_bytes(pid))).collect())
    }

    fn memory(&self) -> Result<u64, Failure> {
        Ok(self.processes()?.values().sum())
    }

    fn settled_memory(&self) -> Result<u64, Failure> {
        let mut last = (self.clock.monotonic(), self.memory()?);
        self.look(PATIENCE, || {
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

/// Runs a command of this program, as a person would.
pub(super) fn run(arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let output = davy()?.args(arguments).output();
    let output = output.map_err(|error| Failure::Failed(format!("davy can't be run: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Failed(format!(
        "davy {} failed: {said}",
        arguments.join(" ")
    )))
}

fn members(server: &str) -> Result<Vec<MemberRow>, Failure> {
    let options = crate::cli::Server {
        server: server.to_owned(),
        token: None,
    };
    let body = crate::client::Client::new(&options)?.get("/api/v1/members", &[])?;
    crate::members::read("members", &body)
}

/// What the kernel says of a process on this machine; nothing of one that is gone.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

fn with_store<T>(
    url: &str,
    work: impl AsyncFnOnce(&Store) -> Result<T, davy_store::Error>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(async {
        let store = Store::open(url).await?;
        let result = work(&store).await;
        store.close().await;
        result
    });
    result.map_err(|error| Failure::Failed(error.to_string()))
}

/// A job as a real one looks: a configuration of some size, two builds.
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
