//! The bodies of requests between workers and the API.

use crate::{HandleKind, Report, Task};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The response to a request for a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// What the registration has to sign.
    pub challenge: String,
}

/// A registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The challenge that it signs.
    pub challenge: String,
    /// The platform, such as `linux`.
    pub platform: String,
    /// Tags of the worker.
    pub tags: BTreeSet<String>,
    /// Containers at the same time, at most.
    pub capacity: u32,
    /// Whether the worker is removed instead of stalled when it stops reporting.
    pub is_ephemeral: bool,
    /// The version of Davy.
    pub version: String,
    /// Builds of an earlier registration whose tasks still run or have ended without a report.
    #[serde(default)]
    pub builds: BTreeSet<i64>,
}

/// The response to a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The number of the registration.
    pub registration: i64,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// What the worker has.
    pub report: Report,
    /// What it says about itself.
    pub status: Status,
}

/// What a worker says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Destroys in progress.
    pub destroying: u64,
    /// Destroys that exceeded their deadline and still run.
    pub hung: u64,
    /// Destroys that failed since the process started.
    pub failed_destroys: u64,
    /// Builds that run.
    pub builds: u64,
    /// How tasks are run: `process` or `runc`; with the reason in words if they are not limited.
    #[serde(default)]
    pub driver: String,
    /// What each container uses: CPU, memory, I/O, processes. The readers know the fields.
    #[serde(default)]
    pub containers: BTreeMap<String, serde_json::Value>,
}

/// The response to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Whether the report counts. If not, nothing has changed.
    pub accepted: bool,
    /// The generation of the last accepted report.
    pub generation: i64,
    /// What the worker has to destroy.
    pub doomed: BTreeMap<String, HandleKind>,
    /// Handles of other workers in the report.
    pub foreign: Vec<String>,
}

/// The response to a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The build, if there is a fitting one.
    pub build: Option<Assignment>,
    /// Terminals to open.
    #[serde(default)]
    pub terminals: Vec<TerminalRequest>,
}

/// A terminal that a person opens in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalRequest {
    /// Its id.
    pub id: String,
    /// The build.
    pub build: i64,
    /// The container.
    pub container: String,
    /// The command; a shell if it is empty.
    pub command: Vec<String>,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Output of a terminal, or its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalOutput {
    /// The number of bytes before it.
    pub position: u64,
    /// Bytes in hexadecimal.
    pub bytes: String,
    /// Whether the command has ended.
    pub is_over: bool,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Why it could not be run.
    pub error: Option<String>,
}

/// The response to output of a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalStored {
    /// Where the next output begins.
    pub position: u64,
    /// Whether the person has to read first; the output is not stored.
    pub is_full: bool,
    /// Whether the terminal is closed.
    pub is_closed: bool,
}

/// Asks for what the person has typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalWait {
    /// The last input that has arrived.
    pub after: i64,
    /// The size of the window that the worker knows.
    pub width: u16,
    /// The size of the window that the worker knows.
    pub height: u16,
}

/// What the person has typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalInput {
    /// The number of the last input.
    pub number: i64,
    /// Bytes in hexadecimal.
    pub bytes: String,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Signals for the command, by their names without `SIG`.
    #[serde(default)]
    pub signals: Vec<String>,
    /// Whether the terminal is closed.
    pub is_closed: bool,
}

/// The signals that a person can send to the command of a terminal. None of them kills a process that handles it; a
/// terminal that is closed does.
pub const TERMINAL_SIGNALS: [&str; 6] = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"];

/// A build that a worker has to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The build.
    pub id: i64,
    /// Its task.
    pub task: Task,
    /// The container to create.
    pub container: String,
    /// The volume to create for it: the working directory.
    pub volume: String,
}

/// Part of the output of a task. Without text it only renews the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPart {
    /// The number of bytes before it. A part that was stored before is not stored again.
    pub position: u64,
    /// Whole characters without zero bytes.
    pub text: String,
}

/// The response to part of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStored {
    /// Whether the worker still holds the build; if not, it stops the task.
    pub is_held: bool,
    /// Whether the log has reached its limit; the part is not stored.
    pub is_full: bool,
    /// Whether a person has requested to abort the build.
    pub is_abort_requested: bool,
    /// The number of bytes that are stored: where the next part begins.
    pub position: u64,
}

/// Whether a container or volume could be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creation {
    /// Whether it exists.
    pub succeeded: bool,
}

/// The end of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum End {
    /// The task has exited.
    Exited {
        /// Its exit code; 128 and the number of the signal that killed it.
        code: i32,
    },
    /// The task could not be run to its end.
    Errored {
        /// Why.
        error: String,
    },
    /// It was stopped because a person aborted the build.
    Aborted,
}

/// The end of a build, with what its task has used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndReport {
    /// The end.
    pub end: End,
    /// What the task has used, as its worker counts it. The readers know the fields.
    pub usage: Option<serde_json::Value>,
}

/// A worker that stops for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The builds that it runs. Others that were assigned to it never arrived, and may run elsewhere.
    pub builds: BTreeSet<i64>,
}

/// The response to a worker that stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Builds that are pending again.
    pub returned: u64,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Errored { error } => write!(f, "errored: {error}"),
            Self::Aborted => f.write_str("aborted"),
        }
    }
}

/// The response to the end of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether the worker held the build.
    pub is_held: bool,
}
