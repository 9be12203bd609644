//! What the operations of the archive do, and their parameters.

use super::parameter::{Parameter, ParameterKind};

/// Summary and query parameters of an operation of the archive; empty for an unknown one.
pub(super) fn description(id: &str) -> (&'static str, &'static [Parameter]) {
    match id {
        "Ingest" => (
            "Stores a profile in any supported format, as Pyroscope agents push it. The response arrives after the profile has been stored",
            &[
                NAME_OF_APP,
                INGEST_FROM,
                INGEST_UNTIL,
                FORMAT,
                SAMPLE_RATE,
                UNITS,
                AGGREGATION_TYPE,
            ],
        ),
        "Push" => (
            "Stores series of pprof profiles, as Pyroscope agents and Davy's own profiler push them. The response arrives after all of them have been stored",
            &[],
        ),
        "ListSymbols" => (
            "Lists the builds whose symbols are stored, sorted by build id",
            &[],
        ),
        "GetSymbols" => ("Describes the symbols of a build", &[MIN_FUNCTIONS]),
        "PutSymbols" => (
            "Stores the symbol index of a build (Content-Encoding gzip, zstd or none); frames of the build that have an address only are shown with its names from then on. An index that names fewer functions than the stored one does not replace it",
            &[],
        ),
        "GetArchive" => (
            "Describes what the archive of a tenant holds by level and service, what is deleted next, and what it costs; at most a minute old",
            &[],
        ),
        "ListProfileTypes" => (
            "Lists the profile types of a range",
            &[ANY_TYPE, SELECTOR, FROM, UNTIL],
        ),
        "ListProfileLabels" => (
            "Lists the label names of a range, or the values of one label",
            &[NAME, ANY_TYPE, SELECTOR, FROM, UNTIL],
        ),
        "QuerySeries" => (
            "Returns totals over time",
            &[
                TYPE,
                SELECTOR,
                FROM,
                UNTIL,
                ALL_SERVICES,
                BY,
                TRACE,
                SPAN,
                STEP,
                FOCUS,
            ],
        ),
        "QueryFlamegraph" => (
            "Returns a merged flame graph, as JSON if the client accepts JSON",
            &[
                TYPE_OR_DEFAULT,
                SELECTOR,
                FROM,
                UNTIL,
                ALL_SERVICES,
                BY,
                TRACE,
                SPAN,
                DEFAULTS,
                MAX_NODES,
                WIDTH,
                FUNCTION,
                SIDE,
                FOCUS,
                IGNORE,
                HIDE,
                SHOW,
                PATH,
            ],
        ),
        "QueryDiff" => (
            "Returns two merged profiles as one tree with a value of each side for every node",
            &[
                TYPE,
                SELECTOR,
                FROM,
                UNTIL,
                BASE_SELECTOR,
                BASE_FROM,
                BASE_UNTIL,
                ALL_SERVICES,
                BY,
                TRACE,
                SPAN,
                MAX_NODES,
                FOCUS,
                IGNORE,
                HIDE,
                SHOW,
                PATH,
            ],
        ),
        "QueryTop" => (
            "Lists the functions with the largest self values",
            &[
                TYPE,
                SELECTOR,
                FROM,
                UNTIL,
                ALL_SERVICES,
                BY,
                TRACE,
                SPAN,
                LIMIT,
                FOCUS,
                IGNORE,
                HIDE,
                SHOW,
                PATH,
            ],
        ),
        "QueryChanges" => (
            "Compares the usage of each group (CPU, heap, allocations, requests, errors, p99) with that of an hour, a day and a week ago, and ranks what grew, shrank, is new or gone",
            &[
                SELECTOR,
                CHANGES_FROM,
                UNTIL,
                CHANGES_BY,
                AGAINST,
                CHANGES_LIMIT,
            ],
        ),
        "QueryPprof" => ("Returns a merged profile as gzipped pprof", MERGED),
        "QueryFolded" => ("Returns a merged profile as folded stacks", MERGED),
        "QuerySvg" => ("Returns a merged flame graph as an SVG image", PRUNED),
        _ => super::connect::description(id),
    }
}

/// The parameters of operations that return a whole merged profile.
const MERGED: &[Parameter] = &[
    TYPE,
    SELECTOR,
    FROM,
    UNTIL,
    ALL_SERVICES,
    BY,
    TRACE,
    SPAN,
    FOCUS,
    IGNORE,
    HIDE,
    SHOW,
    PATH,
];

/// The parameters of operations that return the largest nodes of a merged profile.
const PRUNED: &[Parameter] = &[
    TYPE,
    SELECTOR,
    FROM,
    UNTIL,
    ALL_SERVICES,
    BY,
    TRACE,
    SPAN,
    MAX_NODES,
    FOCUS,
    IGNORE,
    HIDE,
    SHOW,
    PATH,
];

const TYPE: Parameter = Parameter::new(
    "type",
    ParameterKind::Text,
    "cpu",
    "Profile type: a short name (cpu, cpu_samples, wall, wall_samples, heap, inuse_objects, allocs, alloc_objects, tasks, goroutines, exceptions, mutex, mutex_count, block, block_count, requests, errors, request_time), an id such as process_cpu:cpu:nanoseconds:cpu:nanoseconds, or, for pprof, a family such as memory:*",
)
.required();
const TYPE_OR_DEFAULT: Parameter = Parameter::new(
    "type",
    ParameterKind::Text,
    "cpu",
    "Profile type, as for the other queries; required unless `defaults` is true",
);
const ANY_TYPE: Parameter = Parameter::new(
    "type",
    ParameterKind::Text,
    "cpu",
    "Profile type; all of them by default",
);
const SELECTOR: Parameter = Parameter::new(
    "selector",
    ParameterKind::Text,
    "{service_name=\"api\",member=~\"gc.*\"}",
    "Label selector; all series by default",
);
const FROM: Parameter = Parameter::new(
    "from",
    ParameterKind::Time,
    "now-1h",
    "Start of the range; an hour before its end by default",
);
const UNTIL: Parameter = Parameter::new(
    "until",
    ParameterKind::Time,
    "now",
    "End of the range, exclusive; now by default",
);
const ALL_SERVICES: Parameter = Parameter::new(
    "all_services",
    ParameterKind::Choice(&["true", "false"]),
    "true",
    "Merges all services; without it, a query that matches several services needs a selector",
);
const BY: Parameter = Parameter::new(
    "by",
    ParameterKind::Text,
    "member,op",
    "Labels to group by, comma-separated; at most 8",
);
const TRACE: Parameter = Parameter::new(
    "trace",
    ParameterKind::Text,
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "Keeps the samples of a trace, by its id in hexadecimal digits; they are kept as long as windows",
);
const SPAN: Parameter = Parameter::new(
    "span",
    ParameterKind::Text,
    "00f067aa0ba902b7",
    "Keeps the samples of a span, by its id in hexadecimal digits; they are kept as long as windows",
);
const DEFAULTS: Parameter = Parameter::new(
    "defaults",
    ParameterKind::Choice(&["true", "false"]),
    "true",
    "Chooses what is left out of `type`, `selector` and `by`: CPU time or the first type, the service davy or the first one, and the label member if there is one. The response names what was chosen",
);
const STEP: Parameter = Parameter::new(
    "step",
    ParameterKind::Seconds,
    "15",
    "Time between two points; the point at t covers t (inclusive) to t + step; a 240th of the range by default",
);
const MAX_NODES: Parameter = Parameter::new(
    "max_nodes",
    ParameterKind::Integer,
    "16384",
    "Maximum number of nodes; the largest are kept, and the exact sum of the others is reported",
);
const WIDTH: Parameter = Parameter::new(
    "width",
    ParameterKind::Integer,
    "3840",
    "Width of the drawing in pixels: nodes of less than half a pixel are left out, and the exact sum of their values is reported",
);
const FUNCTION: Parameter = Parameter::new(
    "function",
    ParameterKind::Text,
    "parse",
    "Shows the merged callers or callees of this function instead, as `side` says: the root stands for it. `meta.function` has its total, its own value, its call paths and its share by group",
);
const SIDE: Parameter = Parameter::new(
    "side",
    ParameterKind::Choice(&["callers", "callees"]),
    "callers",
    "Which side of `function` is shown; callees by default",
);
const MIN_FUNCTIONS: Parameter = Parameter::new(
    "min_functions",
    ParameterKind::Integer,
    "1000",
    "Symbols that name fewer functions count as missing; default 0",
);
const LIMIT: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "100",
    "Maximum number of functions; 100 by default",
);
const CHANGES_FROM: Parameter = Parameter::new(
    "from",
    ParameterKind::Time,
    "now-10m",
    "Start of the range whose usage is compared; ten minutes before its end by default",
);
const CHANGES_BY: Parameter = Parameter::new(
    "by",
    ParameterKind::Text,
    "service_name,member,op",
    "Labels to group by, comma-separated; service_name and member by default",
);
const AGAINST: Parameter = Parameter::new(
    "against",
    ParameterKind::Choice(&["hour", "day", "week"]),
    "day",
    "The earlier range by which changes are ranked; by default the nearest one with data",
);
const CHANGES_LIMIT: Parameter = Parameter::new(
    "limit",
    ParameterKind::Integer,
    "200",
    "Maximum number of changes; 200 by default",
);
const FOCUS: Parameter = Parameter::new(
    "focus",
    ParameterKind::Text,
    "serde",
    "Keeps stacks with a frame whose function, file or module matches this regular expression, like -focus of go tool pprof",
);
const IGNORE: Parameter = Parameter::new(
    "ignore",
    ParameterKind::Text,
    "idle",
    "Drops stacks with a frame whose function, file or module matches this regular expression, like -ignore of go tool pprof",
);
const HIDE: Parameter = Parameter::new(
    "hide",
    ParameterKind::Text,
    "^tokio::",
    "Removes frames whose function, file or module matches this regular expression, and samples without other frames, like -hide of go tool pprof",
);
const SHOW: Parameter = Parameter::new(
    "show",
    ParameterKind::Text,
    "^shop::",
    "Keeps only frames whose function, file or module matches this regular expression, and drops samples without any, like -show of go tool pprof",
);
const PATH: Parameter = Parameter::new(
    "path",
    ParameterKind::Texts,
    "main",
    "Keeps the subtree of a call path: one parameter for each frame from the root, named as in the response, groups of `by` included",
);
const BASE_SELECTOR: Parameter = Parameter::new(
    "base_selector",
    ParameterKind::Text,
    "{service_name=\"api\"}",
    "Label selector of the base; that of the other side by default",
);
const BASE_FROM: Parameter = Parameter::new(
    "base_from",
    ParameterKind::Time,
    "now-2h",
    "Start of the base's range; by default the base is the range of the same length before `from`",
);
const BASE_UNTIL: Parameter = Parameter::new(
    "base_until",
    ParameterKind::Time,
    "now-1h",
    "End of the base's range, exclusive",
);
const NAME: Parameter = Parameter::new(
    "name",
    ParameterKind::Text,
    "service_name",
    "Label whose values are listed; without it, label names are listed",
);
const NAME_OF_APP: Parameter = Parameter::new(
    "name",
    ParameterKind::Text,
    "api.cpu{region=\"eu\"}",
    "Application with optional labels: service, profile type suffix, label set",
)
.required();
const INGEST_FROM: Parameter = Parameter::new(
    "from",
    ParameterKind::Time,
    "1700000000",
    "Start of the window; taken from the profile or the time of arrival by default",
);
const INGEST_UNTIL: Parameter = Parameter::new(
    "until",
    ParameterKind::Time,
    "1700000010",
    "End of the window",
);
const FORMAT: Parameter = Parameter::new(
    "format",
    ParameterKind::Choice(&[
        "pprof",
        "folded",
        "groups",
        "lines",
        "tree",
        "trie",
        "speedscope",
        "jfr",
        "perf_script",
        "cpuprofile",
        "heapprofile",
    ]),
    "pprof",
    "Format of the body; detected by default",
);
const SAMPLE_RATE: Parameter = Parameter::new(
    "sampleRate",
    ParameterKind::Integer,
    "100",
    "Samples per second, to convert counts of formats without a period to CPU time; 100 by default, 0 for profiles that are not sampled",
);
const UNITS: Parameter = Parameter::new(
    "units",
    ParameterKind::Text,
    "samples",
    "Unit of the values of text formats; taken from the suffix of the name by default",
);
const AGGREGATION_TYPE: Parameter = Parameter::new(
    "aggregationType",
    ParameterKind::Choice(&["sum", "average"]),
    "sum",
    "How values of an unknown type are combined over time; `sum` by default",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_parameters_are_those_that_the_archive_accepts() {
        for (_, path, id) in davy_archive::OPERATIONS {
            if path.starts_with(crate::operations::QUERY_PREFIX) {
                let (_, documented) = description(id);
                let names: Vec<&str> = documented.iter().map(|parameter| parameter.name).collect();
                assert_eq!(names, davy_archive::query::parameters(id), "{id}");
            }
        }
    }
}
