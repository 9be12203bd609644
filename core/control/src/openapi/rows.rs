//! Schemas of responses whose types belong to other packages: the database's rows and the archive's
//! responses. Tests compare them with real ones.

use schemars::JsonSchema;
use std::collections::BTreeMap;

/// A unix process of the fleet.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ProcessSummary {
    /// The id of the process, new at each start.
    id: String,
    /// Its kind, such as `quickstart` or `archiver`.
    kind: String,
    /// The machine's name.
    host: String,
    /// The unix process id.
    pid: i64,
    /// The version of Davy.
    version: String,
    /// When it started, in milliseconds since 1970.
    started_at: i64,
    /// When it stopped, in milliseconds since 1970; null while it runs and after a kill.
    stopped_at: Option<i64>,
    /// How it stopped.
    ending: Option<String>,
    /// When it last reported, in milliseconds since 1970.
    seen_at: i64,
    /// The id of the process that started it.
    parent: Option<String>,
    /// The address of its debug port.
    debug: Option<String>,
    /// Always null; ListMembers returns the reports.
    report: Option<String>,
}

/// An entry of the audit log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct AuditEntry {
    /// Grows with every entry.
    id: i64,
    /// When, in milliseconds since 1970.
    at: i64,
    /// The operator.
    operator: String,
    /// The change, such as `endpoint.disable`.
    what: String,
    /// The member or operation.
    name: String,
    /// Details as JSON text.
    detail: Option<String>,
    /// The operator's reason.
    why: Option<String>,
    /// The id of the process that received the change.
    process: Option<String>,
    /// Where it came from: `cli`, `api`, `ui`, `sighup`, ...
    source: String,
}

/// A job of a pipeline.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct JobRow {
    /// The id of the job.
    id: i64,
    /// The team that owns the pipeline.
    team: String,
    /// The pipeline.
    pipeline: String,
    /// The name of the job, unique within its pipeline.
    name: String,
    /// Whether it is paused.
    paused: bool,
    /// Its configuration as JSON text.
    config: String,
    /// Its last build as JSON text.
    last_build: Option<String>,
    /// Its next build as JSON text.
    next_build: Option<String>,
}

/// The symbols of all builds.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct SymbolsList {
    /// The builds, sorted by build id.
    symbols: Vec<SymbolsRow>,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
}

/// The symbols of a build.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct SymbolsRow {
    /// The build id.
    build_id: String,
    /// The name of the executable or library.
    file: String,
    /// How many functions have a name.
    functions: u64,
    /// The size in the bucket, in bytes.
    bytes: u64,
    /// When they were stored, in milliseconds since 1970.
    stored_at: i64,
}

/// The usage of each group now and in earlier ranges.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ChangesResponse {
    /// Start of the range, in milliseconds since 1970.
    from: i64,
    /// End of the range, exclusive, in milliseconds since 1970.
    until: i64,
    /// The labels that groups consist of.
    by: Vec<String>,
    /// The selector.
    selector: String,
    /// The earlier range by which changes are ranked: `hour`, `day` or `week`; null if none has data.
    against: Option<String>,
    /// The range, and those that it is compared with.
    ranges: Vec<ChangesRange>,
    /// What is compared.
    measures: Vec<ChangesMeasure>,
    /// How many changes were left out.
    cut: u64,
    /// What the query has read.
    cost: QueryCost,
    /// The changes, the largest first.
    changes: Vec<Change>,
}

/// A range of a comparison. Times are in milliseconds since 1970.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ChangesRange {
    /// `now`, `hour`, `day` or `week`.
    name: String,
    /// Start of the range.
    from: i64,
    /// End of the range, exclusive.
    until: i64,
    /// Start of the range that is counted; earlier than `from` if its windows have expired.
    effective_from: i64,
    /// End of the range that is counted; later than `until` if its windows have expired.
    effective_until: i64,
    /// Start of the first window; 0 without windows.
    covered_from: i64,
    /// End of the last window. Rates are per second from `covered_from` to here.
    covered_until: i64,
    /// The number of windows.
    windows: u64,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
}

/// A measure of usage.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ChangesMeasure {
    /// `cpu`, `heap`, `allocations`, `requests`, `errors` or `p99`.
    name: String,
    /// The unit of its values.
    unit: String,
    /// The profile type that it is read from.
    r#type: String,
    /// The sum over all groups now; absent for percentiles, which do not add up.
    now: Option<f64>,
    /// The sum over all groups in each earlier range that has the type.
    before: Option<BTreeMap<String, f64>>,
}

/// The change of a group in a measure.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct Change {
    /// The labels of the group; empty values if it does not have them.
    labels: BTreeMap<String, String>,
    /// The measure.
    measure: String,
    /// `grew`, `shrank`, `new`, `gone`, `same` (less than a tenth, or less than 0.5 % of all groups), or `unknown` if the
    /// earlier range does not have the type.
    kind: String,
    /// The change as a share of all groups, from 0 to 1; of an `unknown` one, the share of the value.
    score: f64,
    /// The value now.
    now: f64,
    /// The value in each earlier range that has the type.
    before: BTreeMap<String, f64>,
}

/// Totals over time.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct SeriesResponse {
    /// The profile type.
    r#type: String,
    /// The unit of the values.
    unit: String,
    /// How values are added up over time: `sum` for flows, `average` for states.
    aggregation: String,
    /// What decided it: `type` (the table of types), `profile` (the form of the profiles) or `default`.
    aggregation_source: String,
    /// The time between two points, in milliseconds.
    step_ms: i64,
    /// Start of the range, in milliseconds since 1970.
    from: i64,
    /// End of the range, exclusive, in milliseconds since 1970.
    until: i64,
    /// Start of the range that is counted; earlier than `from` if its windows have expired.
    effective_from: i64,
    /// End of the range that is counted; later than `until` if its windows have expired.
    effective_until: i64,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
    /// How many of the smallest series are left out.
    cut: u64,
    /// What the query has read.
    cost: QueryCost,
    /// The series, largest first.
    series: Vec<Series>,
}

/// One series of totals.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct Series {
    /// The labels of `by` with their values.
    labels: BTreeMap<String, String>,
    /// Pairs of time (milliseconds since 1970) and value. Points without samples are left out.
    points: Vec<(i64, i64)>,
}

/// A node of a flame graph. The root is named `total` and has the member `partial` besides.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct FlameNode {
    /// The function.
    name: String,
    /// The value of samples that end in this node.
    #[schemars(rename = "self")]
    own: i64,
    /// The value of samples through this node.
    total: i64,
    /// The value of children that are left out because of `max_nodes`.
    hidden: Option<i64>,
    /// How many children are left out.
    hidden_children: Option<u64>,
    /// The nodes called from this one.
    children: Vec<FlameNode>,
    /// Only in the root: start of the range that is counted, in milliseconds since 1970.
    effective_from: Option<i64>,
    /// Only in the root: end of the range that is counted.
    effective_until: Option<i64>,
    /// Only in the root: what could not be read; empty if the response is complete.
    partial: Option<Vec<String>>,
    /// Only in the root: what the query has read.
    cost: Option<QueryCost>,
}

/// The requests and bytes that a query needed.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct QueryCost {
    /// Requests to the bucket.
    requests: u64,
    /// Bytes read from the bucket.
    bytes: u64,
    /// Bytes read from caches instead.
    cached_bytes: u64,
    /// Bytes after decompression.
    decoded_bytes: u64,
}

/// Two profiles in one tree.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct DiffResponse {
    /// The queries of both sides.
    meta: DiffMeta,
    /// The root of the tree.
    tree: DiffNode,
}

/// A merged range of profiles.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct RangeMeta {
    /// The profile type.
    r#type: String,
    /// The unit of the values.
    unit: String,
    /// How values are added up over time: `sum` for flows, `average` for states.
    aggregation: String,
    /// What decided it: `type` (the table of types), `profile` (the form of the profiles) or `default`.
    aggregation_source: String,
    /// Start of the range, in milliseconds since 1970.
    from: i64,
    /// End of the range, exclusive, in milliseconds since 1970.
    until: i64,
    /// Start of the range that is counted; earlier than `from` if its windows have expired.
    effective_from: i64,
    /// End of the range that is counted; later than `until` if its windows have expired.
    effective_until: i64,
    /// The label selector.
    selector: String,
    /// The labels that are grouped by.
    by: Vec<String>,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
    /// How many windows were merged.
    windows: u64,
}

/// The queries of both sides of a comparison.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct DiffMeta {
    /// Metadata of the query, whose values are `self` and `total`.
    #[schemars(flatten)]
    side: RangeMeta,
    /// Metadata of the base query, whose values are `base_self` and `base_total`.
    base: RangeMeta,
    /// The cost of both queries together.
    cost: QueryCost,
}

/// A node with a value of each side.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct DiffNode {
    /// The function.
    name: String,
    /// The value of samples that end in this node.
    #[schemars(rename = "self")]
    own: i64,
    /// The value of samples through this node.
    total: i64,
    /// `self` of the base.
    base_self: i64,
    /// `total` of the base.
    base_total: i64,
    /// The nodes called from this one.
    children: Vec<DiffNode>,
}

/// The functions with the largest self values.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct TopResponse {
    /// The profile type.
    r#type: String,
    /// The unit of the values.
    unit: String,
    /// How values are added up over time: `sum` for flows, `average` for states.
    aggregation: String,
    /// What decided it: `type` (the table of types), `profile` (the form of the profiles) or `default`.
    aggregation_source: String,
    /// The value of all samples.
    total: i64,
    /// How many windows were merged.
    windows: u64,
    /// Start of the range that is counted; earlier than `from` if its windows have expired.
    effective_from: i64,
    /// End of the range that is counted; later than `until` if its windows have expired.
    effective_until: i64,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
    /// What the query has read.
    cost: QueryCost,
    /// The functions, largest self value first.
    functions: Vec<TopFunction>,
}

/// A function in a list of the largest ones.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct TopFunction {
    /// The function.
    name: String,
    /// Its source file, if known.
    file: Option<String>,
    /// The value of samples that end in it.
    #[schemars(rename = "self")]
    own: i64,
    /// The value of samples through it.
    total: i64,
}

/// A request to `/ingest` with several parts. Pyroscope agents send `profile` or `jfr`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct IngestForm {
    /// The profile.
    profile: Option<String>,
    /// A JFR recording, instead of `profile`.
    jfr: Option<String>,
    /// Labels of the contexts of a JFR recording, as the Java agent sends them.
    labels: Option<String>,
    /// Names, units and aggregation of the sample types of a pprof profile, as JSON.
    sample_type_config: Option<String>,
}

/// A request to `/push.v1.PusherService/Push`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct PushRequest {
    /// At most 2,000 series.
    series: Vec<PushSeries>,
}

/// Profiles with the same labels.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct PushSeries {
    /// Labels, among them `service_name`.
    labels: Vec<PushLabel>,
    /// At most 2,000 profiles in a request.
    samples: Vec<PushSample>,
}

/// A label.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct PushLabel {
    /// The name.
    name: String,
    /// The value.
    value: String,
}

/// A profile.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct PushSample {
    /// A pprof profile, compressed with gzip or not; in JSON as Base64.
    #[schemars(rename = "rawProfile")]
    raw_profile: String,
    /// Identifies the window: pushes with the same id and labels count once.
    #[schemars(rename = "ID")]
    id: Option<String>,
}

/// The error of a push, in the form that agents expect.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct PushError {
    /// The code of the Connect protocol, such as `invalid_argument`.
    code: String,
    /// What failed, why, and what to do.
    message: String,
}
