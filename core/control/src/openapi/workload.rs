//! Schemas of the rows of workers, containers, volumes and builds.

use schemars::JsonSchema;
use std::collections::{BTreeMap, BTreeSet};

/// A worker.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct WorkerSummary {
    /// Its name.
    name: String,
    /// `running`, `stalled`, `landing`, `landed` or `retiring`.
    state: String,
    /// When it entered the state, in milliseconds since 1970.
    since: i64,
    /// Its last report or registration, in milliseconds since 1970.
    heartbeat_at: i64,
    /// Its last accepted report, in milliseconds since 1970.
    synced_at: i64,
    /// The number of its registration.
    registration: i64,
    /// The generation of its last accepted report.
    generation: i64,
    /// Whether it is removed instead of stalled.
    is_ephemeral: bool,
    /// Its platform.
    platform: String,
    /// Its tags as a JSON array.
    tags: String,
    /// Containers at the same time, at most.
    capacity: i64,
    /// The version of Davy.
    version: String,
    /// What it says about itself, as JSON text: destroys in progress, hung and failed ones, builds.
    status: Option<String>,
    /// The first handles of other workers in its last report, as a JSON array; such a worker lies or is a clone.
    foreign_handles: String,
    /// Its containers.
    containers: i64,
    /// Its volumes.
    volumes: i64,
    /// Containers and volumes that it has to destroy.
    doomed: i64,
    /// Created containers and volumes that its last report lacked.
    missing: i64,
    /// The containers in its last report.
    reported_containers: i64,
    /// The volumes in its last report.
    reported_volumes: i64,
    /// Handles in its last report that no row named; it is told to destroy them.
    unknown_handles: i64,
    /// When a report last had such handles, in milliseconds since 1970.
    unknown_at: Option<i64>,
    /// The size of the file system of its folder, in bytes; null if it has not said.
    disk_bytes: Option<i64>,
    /// What is free there, in bytes.
    disk_free_bytes: Option<i64>,
    /// The id of its process in the list of processes.
    process: Option<String>,
}

/// A one-off build.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct BuildSummary {
    /// Its id.
    id: i64,
    /// `pending`, `started`, `succeeded`, `failed`, `errored` or `aborted`.
    state: String,
    /// When it entered the state, in milliseconds since 1970.
    since: i64,
    /// When it was created, in milliseconds since 1970.
    created_at: i64,
    /// The person who created it.
    created_by: String,
    /// Its task as JSON text.
    task: String,
    /// Whether its inputs are uploaded.
    is_ready: bool,
    /// The worker that claimed it.
    worker: Option<String>,
    /// Whether a person has requested to abort it.
    is_abort_requested: bool,
    /// When a worker claimed it, in milliseconds since 1970.
    started_at: Option<i64>,
    /// The exit code of its task.
    exit_code: Option<i64>,
    /// Why its task could not be run to its end.
    error: Option<String>,
    /// The size of its log, in bytes.
    log_bytes: i64,
    /// What its task has used, as JSON text: CPU, memory, I/O, processes.
    usage: Option<String>,
}

/// The task of a build.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct TaskSchema {
    /// The platform of the worker; `linux` by default.
    platform: Option<String>,
    /// Tags that the worker must have.
    tags: Option<BTreeSet<String>>,
    /// Folders that the client uploads.
    inputs: Option<Vec<FolderSchema>>,
    /// Folders that the client downloads.
    outputs: Option<Vec<FolderSchema>>,
    /// Environment variables.
    params: Option<BTreeMap<String, String>>,
    /// The root file system: the name of an image of the worker; its default one without it.
    image: Option<String>,
    /// What the task may use, at most.
    limits: Option<LimitsSchema>,
    /// The command.
    run: RunSchema,
    /// The time limit, in seconds; an hour by default, at most a day.
    timeout_seconds: Option<u64>,
}

/// What a task may use, at most.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct LimitsSchema {
    /// Memory, in bytes; at least 8 MiB.
    memory_max: Option<u64>,
    /// The share of the CPU while others want it too: 1 to 10,000; 100 is usual.
    cpu_weight: Option<u64>,
    /// Processes and threads; at least 16.
    pids_max: Option<u64>,
}

/// A folder in the working directory of a task.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct FolderSchema {
    /// Its name.
    name: String,
}

/// The command of a task.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct RunSchema {
    /// The program.
    path: String,
    /// Its arguments.
    args: Option<Vec<String>>,
    /// The input or output that it starts in.
    dir: Option<String>,
}
