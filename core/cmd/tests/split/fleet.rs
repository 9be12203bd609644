//! A running fleet in one of the placements.

use crate::database::Database;
use crate::http::{self, Response};
use crate::process::{PATIENCE, Process, davy, text, within};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;

/// Every placed member and the process kind that hosts it.
pub(crate) const MEMBERS: [(&str, &str); 14] = [
    ("api", "frontend"),
    ("ui", "frontend"),
    ("gateway", "frontend"),
    ("archive.query", "archiver"),
    ("archive.ingest", "archiver"),
    ("archive.compactor", "archiver"),
    ("archive.renderer", "archiver"),
    ("archive.arclamp", "archiver"),
    ("gc.processes", "backend"),
    ("gc.audit", "backend"),
    ("gc.builds", "backend"),
    ("gc.containers", "backend"),
    ("gc.volumes", "backend"),
    ("gc.workers", "backend"),
];
/// Time between two ticks of a periodic member.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
/// How long a fleet may take to stop: the longest deadline of its members.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// How members are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// All in one process.
    One,
    /// A process per kind, each started by its own command.
    Kinds,
    /// Every member isolated.
    Isolated,
    /// A child process per kind.
    Split,
    /// Two frontends, two backends and an archiver.
    Fleet,
}

impl Placement {
    const fn commands(self) -> &'static [&'static str] {
        match self {
            Self::One | Self::Isolated => &["quickstart"],
            Self::Split => &["quickstart --split"],
            Self::Kinds => &["archiver", "frontend", "backend"],
            Self::Fleet => &["archiver", "frontend", "frontend", "backend", "backend"],
        }
    }

    /// How many processes host a member.
    pub(crate) fn hosts(self, member: &str, home: &str) -> usize {
        let of_its_kind = match (self, home) {
            (Self::Fleet, "frontend" | "backend") => 2,
            _ => 1,
        };
        // Frontends host queries too.
        let frontends = match (self, member) {
            (Self::Kinds | Self::Split, "archive.query") => 1,
            (Self::Fleet, "archive.query") => 2,
            _ => 0,
        };
        of_its_kind + frontends
    }
}

/// Processes with one database, one bucket and one folder.
pub(crate) struct Fleet {
    pub(crate) placement: Placement,
    pub(crate) processes: Vec<Process>,
    pub(crate) database: Database,
    folder: TempDir,
}

impl Fleet {
    /// Starts a fleet and waits until it is ready.
    pub(crate) fn start(placement: Placement, database: Database) -> Self {
        let mut fleet = Self::prepare(placement, database, "");
        fleet.start_processes();
        fleet.until_ready();
        fleet
    }

    /// A fleet without running processes. `more` is added to its davy.toml.
    pub(crate) fn prepare(placement: Placement, database: Database, more: &str) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let fleet = Self {
            placement,
            processes: Vec::new(),
            database,
            folder,
        };
        fleet.configure(more);
        fleet
    }

    /// Writes davy.toml with `more` at its end.
    pub(crate) fn configure(&self, more: &str) {
        let mut toml = format!(
            "database = {:?}\n\
             [bucket]\nurl = \"file://{}\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [debug]\nlisten = \"127.0.0.1:0\"\n\
             [archive]\nlisten = \"127.0.0.1:0\"\nflush_interval = \"100ms\"\n\
             [profiler]\nenabled = false\n",
            self.database.url(self.path()),
            self.path().join("bucket").display()
        );
        for (member, _) in MEMBERS {
            toml.push_str(&format!("[member.\"{member}\"]\n"));
            if self.placement == Placement::Isolated {
                toml.push_str("isolate = \"process\"\n");
            }
            if member.starts_with("gc.") {
                toml.push_str(&format!("interval = \"{}ms\"\n", INTERVAL.as_millis()));
            }
        }
        toml.push_str(more);
        std::fs::write(self.path().join("davy.toml"), toml).expect("write davy.toml");
    }

    /// Replaces a part of davy.toml.
    pub(crate) fn change_file(&self, old: &str, new: &str) {
        let path = self.path().join("davy.toml");
        let text = std::fs::read_to_string(&path).expect("write the file");
        assert!(text.contains(old), "{text}");
        std::fs::write(&path, text.replace(old, new)).expect("write the file");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn start_processes(&mut self) {
        for (number, line) in self.placement.commands().iter().enumerate() {
            let mut command = davy(self.path());
            // Two processes of one kind can't share a data folder.
            command
                .args(line.split(' '))
                .args(["--data-dir", &format!("data-{number}")]);
            self.processes.push(Process::start(command, line));
        }
    }

    /// Waits until every member of every process is ready and every frontend lists it.
    pub(crate) fn until_ready(&self) {
        for process in &self.processes {
            self.until(&format!("{} to be ready", process.kind), || {
                let response = http::try_get(&format!("{}/readyz", process.debug))?;
                (response.status == 200).then_some(())
            });
        }
        for frontend in self.frontends() {
            self.until("every member to be listed as ready", || {
                let counts = Self::ready_counts(frontend)?;
                let is_there = |(member, home): &(&str, &str)| {
                    counts.get(*member) == Some(&self.placement.hosts(member, home))
                };
                MEMBERS.iter().all(is_there).then_some(())
            });
        }
    }

    /// Number of processes in which each member is ready.
    fn ready_counts(frontend: &str) -> Option<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for row in members(frontend)? {
            if row["state"] == "ready" {
                *counts.entry(row["name"].as_str()?.to_owned()).or_default() += 1;
            }
        }
        Some(counts)
    }

    /// Stops every process with SIGTERM and starts it again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_processes();
    }

    /// Starts the processes again after all of them have exited.
    pub(crate) fn restart_ended(&mut self) {
        self.processes.clear();
        self.start_processes();
        self.until_ready();
    }

    /// Stops every process with SIGTERM. Each must exit with code 0 before the deadline.
    pub(crate) fn stop(&mut self) {
        for process in &self.processes {
            process.signal(libc::SIGTERM);
        }
        for mut process in self.processes.drain(..) {
            let ended = process.ends_within(STOP_DEADLINE);
            let (status, _) = ended.unwrap_or_else(|| {
                panic!("{} did not stop:\n{}", process.kind, process.log());
            });
            assert_eq!(
                status.code(),
                Some(0),
                "{}: {status}\n{}",
                process.kind,
                process.log()
            );
        }
    }

    pub(crate) fn frontends(&self) -> Vec<&str> {
        self.processes
            .iter()
            .filter_map(|process| process.page.as_deref())
            .collect()
    }

    pub(crate) fn archive(&self) -> &str {
        let mut archives = self.processes.iter().filter_map(|p| p.archive.as_deref());
        archives.next().expect("a process with an archive listener")
    }

    /// Runs `davy` against the first frontend.
    pub(crate) fn davy(&self, arguments: &[&str]) -> Output {
        self.davy_at(self.frontends()[0], arguments)
    }

    pub(crate) fn davy_at(&self, server: &str, arguments: &[&str]) -> Output {
        let mut command = davy(self.path());
        command.args(arguments).env("DAVY_SERVER", server);
        command.output().expect("run the binary")
    }

    /// The JSON that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = text(&self.davy(&[arguments, &["--json"]].concat()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The rows of a member on the first frontend.
    pub(crate) fn rows(&self, member: &str) -> Vec<Value> {
        let rows = members(self.frontends()[0]).unwrap_or_default();
        rows.into_iter()
            .filter(|row| row["name"] == member)
            .collect()
    }

    pub(crate) fn until<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        let Some((found, _)) = within(PATIENCE, ask) else {
            let logs: Vec<String> = self
                .processes
                .iter()
                .map(|process| format!("--- {}\n{}", process.kind, process.log()))
                .collect();
            panic!("timed out waiting for {what}:\n{}", logs.concat())
        };
        found
    }
}

/// The members that a process lists.
pub(crate) fn members(address: &str) -> Option<Vec<Value>> {
    let response = http::try_get(&format!("{address}/api/v1/members"))?;
    (response.status == 200).then(|| response.json().as_array().expect("a list").clone())
}

/// The metrics of a process, one line each.
pub(crate) fn metrics(address: &str) -> Vec<String> {
    let response = http::get(&format!("{address}/metrics"));
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().lines().map(str::to_owned).collect()
}

pub(crate) fn jobs(address: &str) -> Option<Response> {
    http::try_get(&format!("{address}/api/v1/jobs"))
}
