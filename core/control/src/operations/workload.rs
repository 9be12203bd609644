//! The operations on workers and builds: those of persons (member `api`) and those of workers (member `gateway`).

use super::operation::{Operation, api};
use super::parameter::{Parameter, ParameterKind};

const fn gateway(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(method, path, id, "gateway", summary)
}

/// All of them.
pub(super) const WORKLOAD: &[Operation] = &[
    api(
        "GET",
        "/api/v1/fleet",
        "GetFleet",
        "Returns the sums of workers and builds, and what each collector still has to do; as server-sent events if the request accepts them",
    ),
    api(
        "GET",
        "/api/v1/workers",
        "ListWorkers",
        "Lists the workers with state, capacity, containers and volumes; as server-sent events if the request accepts them",
    )
    .with(&[LIMIT, AFTER_WORKER, WORKER_STATE]),
    api(
        "PUT",
        "/api/v1/workers/{worker}/key",
        "PutWorkerKey",
        "Adds or replaces the public key of a worker",
    ),
    api(
        "POST",
        "/api/v1/workers/{worker}/revoke",
        "RevokeWorkerKey",
        "Revokes the key of a worker; its requests are refused from now on",
    ),
    api(
        "POST",
        "/api/v1/workers/{worker}/land",
        "LandWorker",
        "Lets a worker finish its builds and leave for a while",
    ),
    api(
        "POST",
        "/api/v1/workers/{worker}/retire",
        "RetireWorker",
        "Lets a worker finish its builds, destroy what it has, and be removed",
    ),
    api(
        "GET",
        "/api/v1/containers",
        "ListContainers",
        "Lists the containers of workers; as server-sent events if the request accepts them",
    )
    .with(&[LIMIT, AFTER_HANDLE, WORKER, HANDLE_STATE]),
    api(
        "GET",
        "/api/v1/volumes",
        "ListVolumes",
        "Lists the volumes of workers; as server-sent events if the request accepts them",
    )
    .with(&[LIMIT, AFTER_HANDLE, WORKER, HANDLE_STATE]),
    api(
        "GET",
        "/api/v1/builds",
        "ListBuilds",
        "Lists one-off builds, newest first; as server-sent events if the request accepts them",
    )
    .with(&[LIMIT, BEFORE, WORKER, BUILD_STATE]),
    api(
        "POST",
        "/api/v1/builds",
        "CreateBuild",
        "Creates a one-off build of a task",
    ),
    api(
        "GET",
        "/api/v1/builds/{build}",
        "GetBuild",
        "Returns a build",
    ),
    api(
        "POST",
        "/api/v1/builds/{build}/start",
        "StartBuild",
        "Lets workers claim a build whose inputs are uploaded",
    ),
    api(
        "POST",
        "/api/v1/builds/{build}/abort",
        "AbortBuild",
        "Aborts a build",
    ),
    api(
        "GET",
        "/api/v1/builds/{build}/log",
        "GetBuildLog",
        "Streams the log of a build as server-sent events, up to its end",
    ),
    api(
        "PUT",
        "/api/v1/builds/{build}/inputs/{name}/{part}",
        "PutBuildInput",
        "Uploads part of an input of a build",
    ),
    api(
        "GET",
        "/api/v1/builds/{build}/outputs/{name}/{part}",
        "GetBuildOutput",
        "Downloads part of an output of a build; empty after the last part",
    ),
    api(
        "POST",
        "/api/v1/builds/{build}/terminals",
        "CreateTerminal",
        "Opens a terminal in the container of a running build",
    ),
    api(
        "GET",
        "/api/v1/terminals/{terminal}",
        "AttachTerminal",
        "Connects to a terminal by a WebSocket: binary messages are its bytes in both directions, text messages are JSON",
    )
    .with(&[AFTER_OUTPUT]),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/terminals/{terminal}/output",
        "AppendTerminalOutput",
        "Takes output of a terminal from its worker",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/terminals/{terminal}/input",
        "WaitTerminalInput",
        "Waits up to ten seconds for input of a terminal",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/challenge",
        "GetWorkerChallenge",
        "Returns what the next registration of a worker has to sign",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/register",
        "RegisterWorker",
        "Registers the process of a worker",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/sync",
        "SyncWorker",
        "Takes the report of a worker; returns what it has to destroy",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/usage",
        "PutWorkerUsage",
        "Takes the usage of the members of a worker's process, and the size of its file system",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/claim",
        "ClaimBuild",
        "Waits up to ten seconds for a build that fits the worker, and claims it",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/leave",
        "LeaveWorker",
        "Lets the process of a worker stop: it gets no more builds, and those that it has not received are pending again",
    ),
    gateway(
        "PUT",
        "/api/v1/workers/{worker}/handles/{handle}",
        "PutWorkerHandle",
        "Records that a container or volume was created, or could not be",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/builds/{build}/log",
        "AppendBuildLog",
        "Appends to the log of a build, and renews the lease of the worker",
    ),
    gateway(
        "POST",
        "/api/v1/workers/{worker}/builds/{build}/end",
        "EndBuild",
        "Records the end of a build",
    ),
    gateway(
        "GET",
        "/api/v1/workers/{worker}/builds/{build}/inputs/{name}/{part}",
        "GetBuildInput",
        "Returns part of an input to the worker that holds the build; empty after the last part",
    ),
    gateway(
        "PUT",
        "/api/v1/workers/{worker}/builds/{build}/outputs/{name}/{part}",
        "PutBuildOutput",
        "Takes part of an output from the worker that holds the build",
    ),
];

const LIMIT: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "50",
    "Maximum number of rows",
);
const BEFORE: Parameter = Parameter::new(
    "before",
    ParameterKind::Integer,
    "1200",
    "Only builds with a smaller id; for paging",
);
const AFTER_WORKER: Parameter = Parameter::new(
    "after",
    ParameterKind::Text,
    "worker-1",
    "Only workers with a later name; for paging",
);
const AFTER_HANDLE: Parameter = Parameter::new(
    "after",
    ParameterKind::Text,
    "01jd8q2m5v0000000000000000",
    "Only later handles; for paging",
);
const AFTER_OUTPUT: Parameter = Parameter::new(
    "after",
    ParameterKind::Integer,
    "4096",
    "Only output after this number of bytes; to continue after a lost connection",
);
const WORKER: Parameter = Parameter::new(
    "worker",
    ParameterKind::Text,
    "worker-1",
    "Only those of this worker",
);
const WORKER_STATE: Parameter = Parameter::new(
    "state",
    ParameterKind::Choice(&["running", "stalled", "landing", "landed", "retiring"]),
    "stalled",
    "Only workers in this state",
);
const HANDLE_STATE: Parameter = Parameter::new(
    "state",
    ParameterKind::Choice(&["creating", "created", "destroying", "failed"]),
    "destroying",
    "Only those in this state",
);
const BUILD_STATE: Parameter = Parameter::new(
    "state",
    ParameterKind::Choice(&[
        "pending",
        "started",
        "succeeded",
        "failed",
        "errored",
        "aborted",
    ]),
    "started",
    "Only builds in this state",
);
