//! The operations of the doors that this binary adds to the rooms' own.

/// An endpoint: what toggles, metrics, profiles and the API's description call it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) member: &'static str,
    pub(crate) summary: &'static str,
}

const fn get(
    path: &'static str,
    id: &'static str,
    member: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method: "GET",
        path,
        id,
        member,
        summary,
    }
}

/// The binary's own operations.
pub(super) const OWN: &[Operation] = &[
    get(
        "/api/v1/openapi.json",
        "GetOpenApi",
        "api",
        "The description of this API",
    ),
    get(
        "/api/v1/members",
        "ListMembers",
        "api",
        "The members of this process: state and since when",
    ),
    get(
        "/api/v1/endpoints",
        "ListEndpoints",
        "api",
        "Every operation and the member that serves it",
    ),
    get(
        "/api/v1/processes",
        "ListProcesses",
        "api",
        "Starts and ends of Davy's processes, the newest first",
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
        "Wall time; not in this version",
    ),
    get(
        "/debug/pprof/tasks",
        "GetTasksProfile",
        "debug",
        "Tasks; not in this version",
    ),
    get(
        "/debug/pprof/cmdline",
        "GetCommandLine",
        "debug",
        "The process's command line",
    ),
];

/// The archive's operations: ingestion belongs to one member, queries to another.
pub(super) fn of_archive() -> impl Iterator<Item = Operation> {
    davy_archive::OPERATIONS
        .iter()
        .map(|&(method, path, id)| Operation {
            method,
            path,
            id,
            member: if path.starts_with("/api/v1/") {
                "archive.query"
            } else {
                "archive.ingest"
            },
            summary: summary(id),
        })
}

fn summary(id: &str) -> &'static str {
    match id {
        "Ingest" => "A profile in pprof or folded stacks, as Pyroscope's agents send it",
        "Push" => "Series of pprofs, as Pyroscope's and Davy's own profilers send them",
        "ListProfileTypes" => "The profile types of a range",
        "ListProfileLabels" => "The label names of a range, or the values of one",
        "QuerySeries" => "Totals over time",
        "QueryFlamegraph" => "A merged flame graph; JSON where the client accepts only that",
        "QueryDiff" => "Two flame graphs in one",
        "QueryTop" => "The functions of the largest own values",
        "QueryPprof" => "A merged profile as pprof, packed",
        "QueryFolded" => "A merged profile as folded stacks",
        "QuerySvg" => "A merged flame graph as a picture",
        _ => "",
    }
}

impl Operation {
    /// The media type of its answer.
    pub(super) fn media_type(&self) -> &'static str {
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
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) required: bool,
    pub(super) description: &'static str,
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
    description: "Profile type, such as process_cpu:cpu:nanoseconds:cpu:nanoseconds",
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

/// The parameters of an operation.
pub(super) fn parameters(id: &str) -> &'static [Parameter] {
    match id {
        "ListProfileTypes" => &[SELECTOR, FROM, UNTIL],
        "ListProfileLabels" => &[NAME, ANY_TYPE, SELECTOR, FROM, UNTIL],
        "QuerySeries" => &[TYPE, SELECTOR, FROM, UNTIL, STEP, BY],
        "QueryFlamegraph" | "QueryDiff" => &[TYPE, SELECTOR, FROM, UNTIL, BY, MAX_NODES],
        "QueryTop" => &[TYPE, SELECTOR, FROM, UNTIL, LIMIT],
        "QueryPprof" | "QueryFolded" | "QuerySvg" => &[TYPE, SELECTOR, FROM, UNTIL, BY],
        _ => &[],
    }
}
