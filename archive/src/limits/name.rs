//! The names of the limits, as they are in the configuration, in errors and in the label `limit` of metrics.

pub(crate) const RATE: &str = "limits.ingest_rate_bytes";
pub(crate) const SERIES: &str = "limits.series";
pub(crate) const PROFILE: &str = "limits.profile_bytes";
pub(crate) const QUERY_RANGE: &str = "limits.query_range";
pub(crate) const QUERY_BYTES: &str = "limits.query_bytes";
pub(crate) const QUERY_TIMEOUT: &str = "limits.query_timeout";
