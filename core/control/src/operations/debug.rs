//! The operations of the member `debug`, and their parameters.

use super::operation::Operation;
use super::parameter::{Parameter, ParameterKind};

const fn debug(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("GET", path, id, "debug", summary)
}

/// The routes of the debug port, which every listener serves.
pub(super) const DEBUG: &[Operation] = &[
    debug(
        "/metrics",
        "GetMetrics",
        "Returns metrics in Prometheus's text format",
    ),
    debug(
        "/livez",
        "GetLive",
        "Returns 200 as long as the process runs",
    ),
    debug(
        "/readyz",
        "GetReady",
        "Returns 200 when every member is ready; names those that are not",
    ),
    debug(
        "/ready",
        "GetReady",
        "Returns 200 when every member is ready, as Pyroscope's clients ask for it",
    ),
    debug("/debug/pprof", "GetDebugIndex", INDEX),
    debug("/debug/pprof/", "GetDebugIndex", INDEX),
    debug(
        "/debug/pprof/profile",
        "GetCpuProfile",
        "Returns a CPU profile of the next seconds as pprof",
    )
    .with(&[SECONDS, MEMBER, OP, HZ]),
    debug(
        "/debug/pprof/heap",
        "GetHeapProfile",
        "Returns the live heap as pprof",
    )
    .with(&[GROWTH_SECONDS, BASE, MEMBER, OP]),
    debug(
        "/debug/pprof/allocs",
        "GetAllocsProfile",
        "Returns the allocations since the start as pprof",
    )
    .with(&[GROWTH_SECONDS, BASE, MEMBER, OP]),
    debug(
        "/debug/pprof/wall",
        "GetWallProfile",
        "Returns a wall-clock profile of the next seconds as pprof",
    )
    .with(&[SECONDS, MEMBER, OP]),
    debug(
        "/debug/pprof/tasks",
        "GetTasksProfile",
        "Returns all tasks and where they wait as pprof",
    )
    .with(&[LISTING, MEMBER, OP]),
    debug(
        "/debug/pprof/threads",
        "GetThreadsProfile",
        "Returns all threads as pprof",
    )
    .with(&[MEMBER, OP]),
    debug("/debug/pprof/watch", "WatchProfiles", WATCH).with(&[WATCH_SECONDS]),
    Operation {
        method: "POST",
        ..debug("/debug/pprof/watch", "WatchProfiles", WATCH).with(&[WATCH_SECONDS])
    },
    debug(
        "/debug/pprof/cmdline",
        "GetCommandLine",
        "Returns the command line of the process",
    ),
];

const INDEX: &str = "Lists the profiles of the debug port";
const WATCH: &str = "Pushes shorter windows for the next seconds, for a live view";

const SECONDS: Parameter = Parameter::new(
    "seconds",
    ParameterKind::Integer,
    "5",
    "Duration of the profile; 10 by default. The response takes as long",
);
const GROWTH_SECONDS: Parameter = Parameter::new(
    "seconds",
    ParameterKind::Integer,
    "60",
    "Returns the growth within the next seconds instead of the total; the response takes as long",
);
const WATCH_SECONDS: Parameter = Parameter::new(
    "seconds",
    ParameterKind::Integer,
    "30",
    "For how long windows are one second long; 10 by default",
);
const BASE: Parameter = Parameter::new(
    "base",
    ParameterKind::Integer,
    "300",
    "Returns the growth since that many seconds ago; cannot be combined with `seconds`",
);
const HZ: Parameter = Parameter::new(
    "hz",
    ParameterKind::Integer,
    "500",
    "Samples per second of CPU time; the rate of the profiler by default",
);
const LISTING: Parameter = Parameter::new(
    "debug",
    ParameterKind::Choice(&["1"]),
    "1",
    "Returns a list as text instead of pprof",
);
const MEMBER: Parameter = Parameter::new(
    "member",
    ParameterKind::Text,
    "api",
    "Only work of this member",
);
const OP: Parameter = Parameter::new(
    "op",
    ParameterKind::Text,
    "ListAllJobs",
    "Only work of this operation",
);
