//! The Davy that a drill runs against: real processes on free ports, in a temporary folder.

use super::command::davy;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use davy_base::{Clock, Random};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use ulid::Ulid;

/// How long processes may take to start.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// How the members are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DrillPlacement {
    /// All in one process
    One,
    /// Frontend, backend and archiver
    Split,
    /// Every member isolated in its own unix process
    Isolated,
    /// Two frontends, two backends and an archiver
    Fleet,
}

/// Running processes. They are stopped and their folder is removed on drop.
pub(super) struct DrillFleet {
    folder: PathBuf,
    processes: Vec<Child>,
    pub(super) database: String,
    /// URLs of the frontends.
    pub(super) frontends: Vec<String>,
}

impl DrillFleet {
    pub(super) fn start(placement: DrillPlacement, database: &str) -> Result<Self, Failure> {
        Self::start_with(placement, database, "")
    }

    /// Starts processes with more settings, as TOML.
    pub(super) fn start_with(
        placement: DrillPlacement,
        database: &str,
        settings: &str,
    ) -> Result<Self, Failure> {
        let id = Ulid::from_parts(
            Clock::system().now().millis() as u64,
            Random::system().next_u128(),
        );
        let folder = std::env::temp_dir().join(format!("davy-drill-{id}"));
        std::fs::create_dir_all(&folder).map_err(Failure::because(format!(
            "cannot create the temporary folder {}",
            folder.display()
        )))?;
        let database = match database {
            "" => format!("sqlite:{}", folder.join("davy.db").display()),
            url => url.to_owned(),
        };
        let mut fleet = Self {
            folder,
            processes: Vec::new(),
            database,
            frontends: Vec::new(),
        };
        let archive = format!("127.0.0.1:{}", free_port()?);
        let kinds: &[&str] = match placement {
            DrillPlacement::One | DrillPlacement::Isolated => &["quickstart"],
            DrillPlacement::Split => &["archiver", "frontend", "backend"],
            DrillPlacement::Fleet => &["archiver", "frontend", "frontend", "backend", "backend"],
        };
        fleet.configure(placement, settings)?;
        for kind in kinds {
            let address = fleet.spawn(kind, &archive)?;
            if matches!(*kind, "quickstart" | "frontend") {
                fleet.frontends.push(address);
            }
        }
        Ok(fleet)
    }

    /// Writes the configuration: more settings, and with `isolated` a process for every member.
    fn configure(&self, placement: DrillPlacement, settings: &str) -> Result<(), Failure> {
        let mut text = settings.to_owned();
        if placement == DrillPlacement::Isolated {
            for member in MemberId::all() {
                let section = format!("[member.\"{member}\"]\n");
                let isolated = format!("{section}isolate = \"process\"\n");
                if text.contains(&section) {
                    text = text.replace(&section, &isolated);
                } else {
                    text.push_str(&isolated);
                }
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        let file = self.folder.join("davy.toml");
        std::fs::write(&file, text)
            .map_err(Failure::because(format!("cannot write {}", file.display())))
    }

    /// Waits until every frontend responds.
    pub(super) fn until_ready(&self, clock: &Clock) -> Result<(), Failure> {
        let deadline = clock.monotonic() + PATIENCE;
        let agent = super::load::agent();
        for frontend in &self.frontends {
            let url = format!("{frontend}/api/v1/fleet");
            while super::load::get(&agent, &url) != Some(200) {
                if clock.monotonic() >= deadline {
                    return Err(Failure::failed(format!(
                        "{frontend} did not become ready within {} s",
                        PATIENCE.as_secs()
                    )));
                }
                std::thread::park_timeout(std::time::Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Starts a process and returns the first address that it prints.
    fn spawn(&mut self, kind: &str, archive: &str) -> Result<String, Failure> {
        let number = self.processes.len();
        let bucket = format!("file://{}", self.folder.join("bucket").display());
        let mut command = davy()?;
        command
            .arg(kind)
            .args(["--data-dir", &format!("data-{number}")])
            .args(["--database", &self.database, "--bucket-url", &bucket])
            .args(["--archive-listen", archive, "--debug-listen", "127.0.0.1:0"])
            .args(["--log-level", "warn", "--profiler-window", "2s"]);
        if matches!(kind, "quickstart" | "frontend") {
            command.args(["--http-listen", "127.0.0.1:0"]);
        }
        let log = self.folder.join(format!("{number}-{kind}.log"));
        let log = std::fs::File::create(&log)
            .map_err(Failure::because(format!("cannot create {}", log.display())))?;
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .map_err(Failure::because(format!("cannot start davy {kind}")))?;
        let mut first = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut first)
                .map_err(Failure::because(format!(
                    "cannot read the output of davy {kind}"
                )))?;
        }
        self.processes.push(child);
        let address = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let address = address.ok_or_else(|| {
            Failure::failed(format!(
                "davy {kind} did not start; its log is in {}",
                self.keep().display()
            ))
        })?;
        Ok(address.trim_end_matches('/').to_owned())
    }

    /// Keeps the folder for inspection and returns its path.
    fn keep(&mut self) -> PathBuf {
        std::mem::take(&mut self.folder)
    }
}

impl Drop for DrillFleet {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // SAFETY: kill takes two integers; the child has not been waited for, so its pid is its own.
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

/// A free port. Several processes need its number before one of them listens on it.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(Failure::because("cannot find a free port"))
}
