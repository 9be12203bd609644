//! Schemas of captures, which belong to the archive.

use schemars::JsonSchema;

/// Captures.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct CaptureList {
    /// The captures, newest first.
    captures: Vec<CaptureRow>,
    /// Captures that could not be read.
    partial: Vec<String>,
}

/// Captures that were taken.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct CapturesTaken {
    /// One for each process.
    captures: Vec<CaptureRow>,
    /// A sentence for each process whose heap could not be captured.
    failed: Vec<String>,
}

/// A captured heap.
#[derive(JsonSchema)]
#[schemars(rename = "Capture")]
#[expect(dead_code, reason = "only the schema is used")]
struct CaptureRow {
    /// The version of the document in the bucket.
    version: u32,
    /// Its id.
    id: String,
    /// When it was taken, in milliseconds since 1970.
    at: i64,
    /// The operator.
    operator: String,
    /// The reason; may be empty.
    why: String,
    /// The member that the operator looked at; empty without one.
    member: String,
    /// Its operation; empty without one.
    op: String,
    /// The process.
    process: CapturedProcess,
    /// The size of the stored profile, in bytes.
    bytes: u64,
    /// The live heap, in bytes.
    live_bytes: i64,
    /// The number of samples.
    samples: u64,
}

/// The process of which a capture was taken.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct CapturedProcess {
    /// The id of the process, new at each start.
    id: String,
    /// Its kind.
    kind: String,
    /// The machine's name.
    host: String,
    /// The unix process id.
    pid: u32,
}
