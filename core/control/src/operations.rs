//! Every endpoint under the one name that toggles, figures, profiles and the API's description use.

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `GET`, `PUT`, ...
    pub method: &'static str,
    /// Its path, with `{name}` for a part that varies.
    pub path: &'static str,
    /// Its name.
    pub id: &'static str,
    /// The member whose work it is.
    pub member: &'static str,
    /// What it does, in a sentence without its full stop.
    pub summary: &'static str,
    /// Its parameters in the query.
    pub parameters: &'static [Parameter],
}

const fn operation(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    member: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        id,
        member,
        summary,
        parameters: &[],
    }
}

const fn get(
    path: &'static str,
    id: &'static str,
    member: &'static str,
    summary: &'static str,
) -> Operation {
    operation("GET", path, id, member, summary)
}

/// The operations that are not the archive's.
const OWN: &[Operation] = &[
    get(
        "/api/v1/openapi.json",
        "GetOpenApi",
        "api",
        "The description of this API",
    ),
    get(
        "/api/v1/health",
        "GetHealth",
        "api",
        "ok, degraded or failing, with what is late or lost",
    ),
    Operation {
        parameters: &[BY_PROCESS],
        ..get(
            "/api/v1/members",
            "ListMembers",
            "api",
            "Every member of every process: state, toggle and usage",
        )
    },
    operation(
        "PUT",
        "/api/v1/members/{name}",
        "ToggleMember",
        "api",
        "enables a member or off",
    ),
    operation(
        "POST",
        "/api/v1/members/{name}/restart",
        "RestartMember",
        "api",
        "Restarts a member, wherever it runs",
    ),
    operation(
        "POST",
        "/api/v1/members/{name}/wake",
        "WakeMember",
        "api",
        "Runs a periodic member now, once",
    ),
    Operation {
        parameters: &[BY_PROCESS],
        ..get(
            "/api/v1/endpoints",
            "ListEndpoints",
            "api",
            "Every endpoint: the member that serves it, its toggle and its usage",
        )
    },
    operation(
        "PUT",
        "/api/v1/endpoints/{operation}",
        "ToggleEndpoint",
        "api",
        "enables an endpoint or off, or limits it",
    ),
    get(
        "/api/v1/processes",
        "ListProcesses",
        "api",
        "Starts and ends of Davy's processes, the newest first",
    ),
    Operation {
        parameters: &[LIMIT, BEFORE],
        ..get(
            "/api/v1/audit",
            "ListAudit",
            "api",
            "Who changed what, when and why, the newest first",
        )
    },
    get(
        "/api/v1/jobs",
        "ListAllJobs",
        "api",
        "All jobs of all teams, with their last builds",
    ),
    get("/", "GetPage", "ui", "The page"),
    get("/{*path}", "GetAsset", "ui", "Parts of the page"),
    get("/metrics", "GetMetrics", "debug", "Figures for Prometheus"),
    get("/livez", "GetLive", "debug", "Whether the process runs"),
    get(
        "/readyz",
        "GetReady",
        "debug",
        "Whether every member is ready; the unready are named",
    ),
    get(
        "/debug/pprof",
        "GetDebugIndex",
        "debug",
        "What the debug port has",
    ),
    get(
        "/debug/pprof/",
        "GetDebugIndex",
        "debug",
        "What the debug port has",
    ),
    get(
        "/debug/pprof/profile",
        "GetCpuProfile",
        "debug",
        "CPU profile of the coming seconds, as pprof",
    ),
    get(
        "/debug/pprof/heap",
        "GetHeapProfile",
        "debug",
        "Live heap, as pprof",
    ),
    get(
        "/debug/pprof/allocs",
        "GetAllocsProfile",
        "debug",
        "Allocations since the start, as pprof",
    ),
    get(
        "/debug/pprof/wall",
        "GetWallProfile",
        "debug",
        "Wall time of the coming seconds, as pprof",
    ),
    get(
        "/debug/pprof/tasks",
        "GetTasksProfile",
        "debug",
        "Tasks and where they wait, as pprof",
    ),
    get(
        "/debug/pprof/threads",
        "GetThreadsProfile",
        "debug",
        "Threads, as pprof",
    ),
    get(
        "/debug/pprof/watch",
        "WatchProfiles",
        "debug",
        "Pushes short windows for the coming seconds, as somebody is watching",
    ),
    operation(
        "POST",
        "/debug/pprof/watch",
        "WatchProfiles",
        "debug",
        "Pushes short windows for the coming seconds, as somebody is watching",
    ),
    get(
        "/debug/pprof/cmdline",
        "GetCommandLine",
        "debug",
        "The process's command line",
    ),
];

/// Every operation of every member.
pub fn operations() -> impl Iterator<Item = Operation> {
    OWN.iter().copied().chain(of_archive())
}

/// The archive's operations: ingestion belongs to one member, queries to another.
fn of_archive() -> impl Iterator<Item = Operation> {
    davy_archive::OPERATIONS.iter().map(|&(method, path, id)| {
        let member = if path.starts_with("/api/v1/") {
            "archive.query"
        } else {
            "archive.ingest"
        };
        let (summary, parameters) = described(id);
        Operation {
            parameters,
            ..operation(method, path, id, member, summary)
        }
    })
}

/// What an operation of the archive does, and its parameters.
fn described(id: &str) -> (&'static str, &'static [Parameter]) {
    match id {
        "Ingest" => (
            "A profile in pprof or folded stacks, as Pyroscope's agents send it",
            &[],
        ),
        "Push" => (
            "Series of pprofs, as Pyroscope's and Davy's own profilers send them",
            &[],
        ),
        "ListProfileTypes" => ("The profile types of a range", &[SELECTOR, FROM, UNTIL]),
        "ListProfileLabels" => (
            "The label names of a range, or the values of one",
            &[NAME, ANY_TYPE, SELECTOR, FROM, UNTIL],
        ),
        "QuerySeries" => ("Totals over time", &[TYPE, SELECTOR, FROM, UNTIL, STEP, BY]),
        "QueryFlamegraph" => (
            "A merged flame graph; JSON where the client accepts only that",
            &[TYPE, SELECTOR, FROM, UNTIL, BY, MAX_NODES],
        ),
        "QueryDiff" => (
            "Two flame graphs in one",
            &[TYPE, SELECTOR, FROM, UNTIL, BY, MAX_NODES],
        ),
        "QueryTop" => (
            "The functions of the largest own values",
            &[TYPE, SELECTOR, FROM, UNTIL, LIMIT],
        ),
        "QueryPprof" => (
            "A merged profile as pprof, packed",
            &[TYPE, SELECTOR, FROM, UNTIL, BY],
        ),
        "QueryFolded" => (
            "A merged profile as folded stacks",
            &[TYPE, SELECTOR, FROM, UNTIL, BY],
        ),
        "QuerySvg" => (
            "A merged flame graph as a picture",
            &[TYPE, SELECTOR, FROM, UNTIL, BY],
        ),
        _ => ("", &[]),
    }
}

impl Operation {
    /// The media type of its answer.
    pub(crate) fn media_type(&self) -> &'static str {
        match self.path.rsplit('/').next().unwrap_or("") {
            "flamegraph" | "diff" => davy_profile::view::MEDIA_TYPE,
            "pprof" => "application/octet-stream",
            "folded" => "text/plain",
            "svg" => "image/svg+xml",
            _ => "application/json",
        }
    }
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type in JSON Schema.
    pub kind: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it does.
    pub description: &'static str,
}

const fn parameter(name: &'static str, kind: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        required: false,
        description,
    }
}

const TYPE: Parameter = Parameter {
    name: "type",
    kind: "string",
    required: true,
    description: "Profile type: cpu, wall, heap, inuse_objects, allocs, alloc_objects, tasks, or an id such as process_cpu:cpu:nanoseconds:cpu:nanoseconds",
};
const ANY_TYPE: Parameter = parameter(
    "type",
    "string",
    "Profile type; all of them where it is left out",
);
const SELECTOR: Parameter = parameter(
    "selector",
    "string",
    "Series, such as {service_name=\"x\",member=~\"gc.*\"}",
);
const FROM: Parameter = parameter(
    "from",
    "string",
    "Begin: unix milliseconds, RFC 3339 or now-1h [default: now-1h]",
);
const UNTIL: Parameter = parameter("until", "string", "End, not included [default: now]");
const BY: Parameter = parameter(
    "by",
    "string",
    "Labels to group by, with commas between them",
);
const STEP: Parameter = parameter(
    "step",
    "number",
    "Seconds of a point; point t covers t to t + step",
);
const MAX_NODES: Parameter = parameter(
    "max_nodes",
    "integer",
    "Nodes, at most; what is cut is told exactly",
);
const LIMIT: Parameter = parameter("limit", "integer", "Rows, at most");
const NAME: Parameter = parameter(
    "name",
    "string",
    "Label whose values to list; names where it is left out",
);

const BY_PROCESS: Parameter = parameter(
    "by",
    "string",
    "process: a row for each process; member: one row for all of them [default: process]",
);
const BEFORE: Parameter = parameter("before", "integer", "Only entries older than this id");
