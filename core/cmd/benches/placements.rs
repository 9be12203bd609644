//! The cost of placements: the same requests to all members in one process, in a process of each kind, and in a
//! process of each member. All installations run at once and take turns, so their ratios do not depend on the
//! speed of the machine.
//!
//! `ROUNDS` (default 30) is the number of turns; `BINARY` measures another executable than that of this build.

use davy_base::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Requests of an installation in a turn.
const REQUESTS: usize = 200;
/// Turns that are not measured.
const WARM_UP: usize = 2;
/// Every member that can be isolated.
const MEMBERS: [&str; 9] = [
    "api",
    "ui",
    "archive.query",
    "archive.ingest",
    "archive.compactor",
    "archive.renderer",
    "archive.arclamp",
    "gc.processes",
    "gc.audit",
];
/// Name, commands, and whether every member is isolated. The others are compared with the first.
const PLACEMENTS: [(&str, &[&str], bool); 4] = [
    ("one process", &["quickstart"], false),
    ("web, archiver", &["archiver", "web"], false),
    (
        "frontend, backend, archiver",
        &["archiver", "frontend", "backend"],
        false,
    ),
    ("a process of each member", &["quickstart"], true),
];
/// Requests of a turn, by their share in ten.
const PATHS: [(&str, usize); 3] = [
    ("/api/v1/jobs", 6),
    ("/api/v1/members", 3),
    ("/api/v1/profiles/top?type=cpu", 1),
];

/// The processes of a placement. They are killed when it is dropped.
struct Installation {
    name: &'static str,
    processes: Vec<Child>,
    page: String,
    agent: ureq::Agent,
    latencies: Vec<Duration>,
    cpu: Duration,
    _folder: TempDir,
}

impl Drop for Installation {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn main() {
    let rounds = std::env::var("ROUNDS").ok();
    let rounds = rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(30usize);
    let clock = Clock::system();
    let mut all: Vec<Installation> = PLACEMENTS
        .iter()
        .map(|(name, commands, isolated)| Installation::start(name, commands, *isolated))
        .collect();
    for round in 0..WARM_UP + rounds {
        for installation in &mut all {
            installation.turn(&clock, round >= WARM_UP);
        }
    }
    println!(
        "{rounds} turns of {REQUESTS} requests; the ratios are to the first row\n\n\
         | placement | processes | median | p99 | CPU per request | memory |\n|---|---|---|---|---|---|"
    );
    let mut first = None;
    for installation in &mut all {
        let row = installation.row(rounds * REQUESTS);
        let first = *first.get_or_insert(row.values);
        let name = installation.name;
        let mut line = format!("| {name} | {} ", row.processes);
        for ((value, first), unit) in row
            .values
            .into_iter()
            .zip(first)
            .zip(["us", "us", "us", "MiB"])
        {
            let _ = write!(line, "| {value:.0} {unit}, {:.2} x ", value / first);
        }
        println!("{line}|");
    }
}

/// The results of an installation.
struct Row {
    processes: usize,
    /// Median and 99th percentile in microseconds, CPU time of a request in microseconds, memory in MiB.
    values: [f64; 4],
}

impl Installation {
    /// Starts the processes, pushes a profile, and waits until all requests are answered.
    fn start(name: &'static str, commands: &[&str], isolated: bool) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        write_configuration(folder.path(), isolated);
        let (mut processes, mut page, mut archive) = (Vec::new(), None, None);
        for (number, command) in commands.iter().enumerate() {
            let (process, urls) = start_process(folder.path(), command, number);
            processes.push(process);
            for url in urls {
                // The debug port is that with a path.
                if url.ends_with("/debug/pprof/") {
                    continue;
                }
                match url.strip_suffix('/') {
                    Some(url) => page = Some(url.to_owned()),
                    None => archive = Some(url),
                }
            }
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let installation = Self {
            name,
            processes,
            page: page.expect("a process that serves the page"),
            agent,
            latencies: Vec::new(),
            cpu: Duration::ZERO,
            _folder: folder,
        };
        let archive = archive.expect("a process with the archive");
        until(|| {
            let stacks = "main;serve;pay 70\nmain;serve;ship 20\nmain;list 10\n";
            let url = format!("{archive}/ingest?name=shop&format=folded");
            let sent = installation.agent.post(url).send(stacks.as_bytes());
            sent.is_ok_and(|response| response.status() == 200)
        });
        for (path, _) in PATHS {
            until(|| installation.get(path));
        }
        installation
    }

    /// Whether a request succeeds.
    fn get(&self, path: &str) -> bool {
        let response = self.agent.get(format!("{}{path}", self.page)).call();
        response.is_ok_and(|mut response| {
            response.body_mut().read_to_vec().is_ok() && response.status() == 200
        })
    }

    fn turn(&mut self, clock: &Clock, measured: bool) {
        let mix: Vec<&str> = PATHS
            .iter()
            .flat_map(|(path, share)| std::iter::repeat_n(*path, *share))
            .collect();
        let before = self.cpu_time();
        let mut latencies = Vec::with_capacity(REQUESTS);
        for path in mix.iter().cycle().take(REQUESTS) {
            let start = clock.monotonic();
            assert!(self.get(path), "{}: {path} failed", self.name);
            latencies.push(clock.monotonic().saturating_sub(start));
        }
        if measured {
            self.cpu += self.cpu_time().saturating_sub(before);
            self.latencies.append(&mut latencies);
        }
    }

    /// The pids of the processes and their children.
    fn pids(&self) -> BTreeSet<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let folders = std::fs::read_dir("/proc").expect("a list of processes");
        for folder in folders.flatten() {
            let pid = folder
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid
                && let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok())
            {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut pids = BTreeSet::new();
        let mut pending: Vec<u32> = self.processes.iter().map(Child::id).collect();
        while let Some(pid) = pending.pop() {
            pids.insert(pid);
            pending.extend(children.remove(&pid).unwrap_or_default());
        }
        pids
    }

    /// User and system time of all processes.
    fn cpu_time(&self) -> Duration {
        let of_process = |pid: u32| -> u64 {
            let fields = stat(pid).unwrap_or_default();
            let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
            ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)
        };
        let ticks: u64 = self.pids().into_iter().map(of_process).sum();
        // A tick of /proc is 10 ms on every architecture of Linux that is in use.
        Duration::from_millis(ticks * 10)
    }

    fn row(&mut self, requests: usize) -> Row {
        self.latencies.sort_unstable();
        let micros = |at: usize| self.latencies[at].as_secs_f64() * 1e6;
        let pids = self.pids();
        let kib: u64 = pids.iter().map(|pid| proportional_kib(*pid)).sum();
        Row {
            processes: pids.len(),
            values: [
                micros(requests / 2),
                micros(requests * 99 / 100),
                self.cpu.as_secs_f64() * 1e6 / requests as f64,
                kib as f64 / 1_024.0,
            ],
        }
    }
}

fn write_configuration(folder: &Path, isolated: bool) {
    let mut toml = format!(
        "database = \"sqlite://{0}/davy.db\"\n\
         [bucket]\nurl = \"file://{0}/bucket\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n\
         [debug]\nlisten = \"127.0.0.1:0\"\n\
         [archive]\nlisten = \"127.0.0.1:0\"\nflush_interval = \"100ms\"\n\
         [profiler]\nenabled = false\n",
        folder.display()
    );
    for member in MEMBERS.iter().filter(|_| isolated) {
        let _ = write!(toml, "[member.\"{member}\"]\nisolate = \"process\"\n");
    }
    std::fs::write(folder.join("davy.toml"), toml).expect("write davy.toml");
}

/// Starts a process. Returns its addresses.
fn start_process(folder: &Path, kind: &str, number: usize) -> (Child, Vec<String>) {
    let binary = std::env::var_os("BINARY");
    let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_davy").into()));
    command
        .args([kind, "--log-level", "error"])
        .args(["--data-dir", &format!("data-{number}")])
        .current_dir(folder)
        .stdout(Stdio::piped());
    let mut process = command.spawn().expect("the binary runs");
    let stdout = process.stdout.take().expect("stdout is a pipe");
    let mut announcement = String::new();
    BufReader::new(stdout)
        .read_line(&mut announcement)
        .expect("stdout is text");
    let words = announcement.split(['(', ' ', ',', ')', '\n']);
    let urls = words.filter(|word| word.starts_with("http://"));
    (process, urls.map(str::to_owned).collect())
}

/// Waits until a condition holds.
fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("an installation did not become ready");
}

/// The fields of /proc/PID/stat after the name, from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Memory of a process; pages that several processes share count once in their sum.
fn proportional_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}
