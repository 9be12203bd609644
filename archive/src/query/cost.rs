//! The cost of a query in its response.

use crate::answer::set_header;
use axum::response::Response;
use davy_bucket::Usage;
use serde_json::{Value, json};
use std::time::Duration;

/// The header that states what a response cost: requests to the bucket, and bytes.
const COST: &str = "davy-cost";
/// The standard header for durations, which browsers show.
const TIMING: &str = "server-timing";

/// The cost as a JSON object, for responses that have metadata.
pub(super) fn json(usage: &Usage) -> Value {
    json!({
        "requests": usage.requests(),
        "bytes": usage.bytes(),
        "cached_bytes": usage.hit_bytes(),
        "decoded_bytes": usage.decoded_bytes(),
    })
}

/// Adds the cost and the duration to the headers of a response. `waited` is the part of `taken` in the queue.
pub(super) fn set_headers(
    response: &mut Response,
    usage: &Usage,
    waited: Duration,
    taken: Duration,
) {
    let cost = format!(
        "requests={}, bytes={}, cached_bytes={}, decoded_bytes={}",
        usage.requests(),
        usage.bytes(),
        usage.hit_bytes(),
        usage.decoded_bytes(),
    );
    set_header(response, COST, &cost);
    let ms = |span: Duration| span.as_secs_f64() * 1_000.0;
    let run = taken.saturating_sub(waited);
    let timing = format!("queue;dur={:.1}, query;dur={:.1}", ms(waited), ms(run));
    set_header(response, TIMING, &timing);
}

/// Bytes that a query has read, as its limit counts them: the larger of those as stored, from the bucket and from
/// caches, and those after decompression.
pub(super) fn bytes_read(usage: &Usage) -> u64 {
    let stored = usage.bytes().saturating_add(usage.hit_bytes());
    stored.max(usage.decoded_bytes())
}
