//! What the operations of the query API of Grafana and Pyroscope's tools do, and their parameters.

use super::parameter::{Parameter, ParameterKind};

/// Summary and query parameters of an operation; empty for an unknown one.
pub(super) fn description(id: &str) -> (&'static str, &'static [Parameter]) {
    match id {
        "QuerierService" => (
            "Calls a method of Pyroscope's query API over Connect, gRPC or gRPC-Web: ProfileTypes, LabelNames, LabelValues, Series, SelectMergeStacktraces, SelectMergeSpanProfile, SelectMergeProfile, SelectSeries, SelectHeatmap, Diff, GetProfileStats or AnalyzeQuery. The parameters are those of Connect's GET",
            &[ENCODING, MESSAGE, BASE64, COMPRESSION],
        ),
        "ExportProfiles" => (
            "Stores profiles of OpenTelemetry (OTLP, v1development), over HTTP or gRPC. The response arrives after all of them have been stored",
            &[],
        ),
        "DebuginfoService" => (
            "Calls a method of the service of debug files over Connect, gRPC or gRPC-Web: ShouldInitiateUpload, UploadFinished, ListDebuginfo or DeleteDebuginfo",
            &[],
        ),
        "UploadDebugFile" => (
            "Stores the symbols of an executable or a library, which is the body. The response arrives after they have been stored",
            &[],
        ),
        "SettingsService" => (
            "Calls a method of the settings of Grafana's page for profiles; none are stored",
            &[],
        ),
        "RecordingRulesService" => (
            "Calls a method of Pyroscope's recording rules over Connect, gRPC or gRPC-Web: GetRecordingRule, ListRecordingRules, UpsertRecordingRule or DeleteRecordingRule",
            &[],
        ),
        "VersionService" => ("Returns the version of the query API", &[]),
        "FeatureFlagsService" => ("Returns the flags of the query API; there are none", &[]),
        "Render" => (
            "Returns a merged flame graph and its timeline in the form of Pyroscope's clients",
            &[QUERY, FROM, UNTIL, MAX_NODES, GROUP_BY, AGGREGATION, FORMAT],
        ),
        "RenderDiff" => (
            "Returns two merged profiles as one flame graph in the form of Pyroscope's clients",
            &[
                LEFT_QUERY,
                LEFT_FROM,
                LEFT_UNTIL,
                RIGHT_QUERY,
                RIGHT_FROM,
                RIGHT_UNTIL,
                MAX_NODES,
            ],
        ),
        "ListLabelValues" => (
            "Lists the values of a label in the form of Pyroscope's clients",
            &[LABEL, SOME_QUERY, FROM, UNTIL],
        ),
        _ => ("", &[]),
    }
}

const EXAMPLE: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"api\"}";

const fn text(name: &'static str, example: &'static str, description: &'static str) -> Parameter {
    Parameter::new(name, ParameterKind::Text, example, description)
}

const fn time(name: &'static str, example: &'static str, description: &'static str) -> Parameter {
    Parameter::new(name, ParameterKind::Time, example, description)
}

const ENCODING: Parameter = Parameter::new(
    "encoding",
    ParameterKind::Choice(&["json", "proto"]),
    "json",
    "Encoding of the message of a GET",
);
const MESSAGE: Parameter = text(
    "message",
    "{\"start\":\"1764334800000\"}",
    "Message of a GET",
);
const BASE64: Parameter = Parameter::new(
    "base64",
    ParameterKind::Choice(&["1"]),
    "1",
    "The message of a GET is base64",
);
const COMPRESSION: Parameter = Parameter::new(
    "compression",
    ParameterKind::Choice(&["gzip", "identity"]),
    "gzip",
    "Compression of the message of a GET",
);
const QUERY: Parameter = text("query", EXAMPLE, "Type id and label selector").required();
const SOME_QUERY: Parameter = text(
    "query",
    EXAMPLE,
    "Type id, label selector or both; everything by default",
);
const FROM: Parameter = time(
    "from",
    "now-1h",
    "Start of the range; an hour before its end by default",
);
const UNTIL: Parameter = time(
    "until",
    "now",
    "End of the range, exclusive; now by default",
);
const MAX_NODES: Parameter = Parameter::new(
    "max-nodes",
    ParameterKind::Integer,
    "16384",
    "Maximum number of nodes; the omitted children of a node are one node named other",
);
const GROUP_BY: Parameter = text(
    "groupBy",
    "region",
    "Labels, comma-separated; a timeline for each of their values",
);
const AGGREGATION: Parameter = Parameter::new(
    "aggregation",
    ParameterKind::Choice(&["sum", "avg"]),
    "sum",
    "How the values of windows make a point of the timeline",
);
const FORMAT: Parameter = Parameter::new(
    "format",
    ParameterKind::Choice(&["json", "dot"]),
    "json",
    "Flame graph, or a call graph in the language of Graphviz",
);
const LEFT_QUERY: Parameter = text(
    "leftQuery",
    EXAMPLE,
    "Type id and selector of the left side",
)
.required();
const LEFT_FROM: Parameter = time("leftFrom", "now-2h", "Start of the left range");
const LEFT_UNTIL: Parameter = time("leftUntil", "now-1h", "End of the left range, exclusive");
const RIGHT_QUERY: Parameter = text(
    "rightQuery",
    EXAMPLE,
    "Type id and selector of the right side",
)
.required();
const RIGHT_FROM: Parameter = time("rightFrom", "now-1h", "Start of the right range");
const RIGHT_UNTIL: Parameter = time("rightUntil", "now", "End of the right range, exclusive");
const LABEL: Parameter = text("label", "service_name", "Label whose values are listed").required();
