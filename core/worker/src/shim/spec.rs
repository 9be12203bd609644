//! What a worker tells a shim, and what the shim tells the worker.

use davy_cgroup::{Cgroup, Figures};
use davy_model::wire::End;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The file with the [`Spec`].
pub(crate) const SPEC: &str = "spec.json";
/// The file that the shim holds a lock on while it runs.
pub(crate) const LOCK: &str = "shim.lock";
/// The file with what the task has printed: whole characters, appended only.
pub(crate) const OUTPUT: &str = "output";
/// The file with the [`Exit`], written when the output is complete.
pub(crate) const EXIT: &str = "exit.json";
/// Messages of the shim itself, for people.
pub(crate) const LOG: &str = "shim.log";
/// Messages of the process that samples the container.
pub(crate) const SAMPLER_LOG: &str = "sampler.log";

/// The size of the output of a task, in bytes, at most.
pub(crate) const OUTPUT_BYTES_MAX: u64 = davy_model::build::LOG_BYTES_MAX as u64;

/// What a shim runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The handle of the container.
    pub(crate) container: String,
    pub(crate) program: Program,
    pub(crate) timeout_seconds: u64,
    /// Where the processes of the task are counted and limited.
    pub(crate) cgroup: Option<Cgroup>,
    /// The limits of the cgroup, for messages.
    pub(crate) limits: davy_cgroup::Limits,
    /// The command that samples the cgroup; empty if the task is not profiled.
    #[serde(default)]
    pub(crate) sampler: Vec<OsString>,
}

/// How the task is started.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Program {
    /// As a process on the machine.
    Process {
        path: String,
        args: Vec<String>,
        dir: PathBuf,
        environment: BTreeMap<String, String>,
    },
    /// In a container. The bundle has the command.
    Runc {
        program: PathBuf,
        state: PathBuf,
        bundle: PathBuf,
    },
}

/// How a task ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) end: End,
    /// What it has used.
    pub(crate) usage: Figures,
}
