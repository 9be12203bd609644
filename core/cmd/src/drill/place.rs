//! The Davy that a drill plays against: real processes on free ports, in a scratch folder.

use super::Placement;
use crate::catalogue::MEMBERS;
use crate::cli::Failure;
use davy_base::{Clock, Random};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use ulid::Ulid;

/// Running processes; they and their folder go when this is dropped.
pub(super) struct Place {
    folder: PathBuf,
    processes: Vec<Child>,
    pub(super) database: String,
    /// Addresses of the frontends.
    pub(super) frontends: Vec<String>,
}

impl Place {
    pub(super) fn start(placement: Placement, database: &str) -> Result<Self, Failure> {
        let id = Ulid::from_parts(
            Clock::system().now().millis() as u64,
            Random::system().next_u128(),
        );
        let folder = std::env::temp_dir().join(format!("davy-drill-{id}"));
        std::fs::create_dir_all(&folder).map_err(|error| {
            Failure::Failed(format!(
                "the scratch folder {} can't be made: {error}",
                folder.display()
            ))
        })?;
        let database = match database {
            "" => format!("sqlite:{}", folder.join("davy.db").display()),
            url => url.to_owned(),
        };
        let mut place = Self {
            folder,
            processes: Vec::new(),
            database,
            frontends: Vec::new(),
        };
        let archive = format!("127.0.0.1:{}", free_port()?);
        let kinds: &[&str] = match placement {
            Placement::One | Placement::Isolated => &["quickstart"],
            Placement::Split => &["archiver", "frontend", "backend"],
            Placement::Fleet => &["archiver", "frontend", "frontend", "backend", "backend"],
        };
        if placement == Placement::Isolated {
            place.isolate_all()?;
        }
        for kind in kinds {
            let address = place.spawn(kind, &archive)?;
            if matches!(*kind, "quickstart" | "frontend") {
                place.frontends.push(address);
            }
        }
        Ok(place)
    }

    /// A configuration that gives every member a unix process of its own.
    fn isolate_all(&self) -> Result<(), Failure> {
        let sections = MEMBERS
            .iter()
            .map(|entry| format!("[member.\"{}\"]\nisolate = \"process\"\n", entry.name));
        let text: String = sections.collect();
        std::fs::write(self.folder.join("davy.toml"), text).map_err(|error| {
            Failure::Failed(format!("the scratch folder can't be written: {error}"))
        })
    }

    /// Starts a process and gives the first address that it tells.
    fn spawn(&mut self, kind: &str, archive: &str) -> Result<String, Failure> {
        let mut command = davy()?;
        command
            .arg(kind)
            .args(["--data-dir", "data", "--database", &self.database])
            .args(["--archive-listen", archive, "--debug-listen", "127.0.0.1:0"])
            .args(["--log-level", "warn", "--profiler-window", "2s"]);
        if matches!(kind, "quickstart" | "frontend") {
            command.args(["--http-listen", "127.0.0.1:0"]);
        }
        let log = self
            .folder
            .join(format!("{}-{kind}.log", self.processes.len()));
        let log = std::fs::File::create(log).map_err(|error| {
            Failure::Failed(format!("the scratch folder can't be written: {error}"))
        })?;
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::Failed(format!("davy {kind} can't be started: {error}")))?;
        let mut first = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut first);
            read.map_err(|error| Failure::Failed(format!("davy {kind} says nothing: {error}")))?;
        }
        self.processes.push(child);
        let address = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let address = address.ok_or_else(|| {
            Failure::Failed(format!(
                "davy {kind} did not start; its log is in {}",
                self.keep().display()
            ))
        })?;
        Ok(address.trim_end_matches('/').to_owned())
    }

    /// The folder, left where it is for somebody to look into.
    fn keep(&mut self) -> PathBuf {
        std::mem::take(&mut self.folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // SAFETY: kill takes two numbers; the child is ours and has not been waited for.
            unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
        }
        for child in &mut self.processes {
            let _ = child.wait();
        }
        if self.folder != Path::new("") {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// This program, without what the surroundings tell it.
pub(super) fn davy() -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::Failed(format!("this program's own file can't be found: {error}"))
    })?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name.starts_with("DAVY_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// A port that is free now; several processes have to know it before one of them listens.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(|error| Failure::Failed(format!("there is no free port: {error}")))
}
