//! Responses of `querier.v1.QuerierService`.

use super::labels::{HeatmapSeries, Labels, ProfileType, Series};
use super::profile::Profile;
use crate::json;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProfileTypesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) profile_types: Vec<ProfileType>,
}

/// Names of labels, or values of one.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NamesResponse {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SeriesResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) labels_set: Vec<Labels>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FlameGraph {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) levels: Vec<Level>,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) total: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) max_self: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Level {
    #[prost(int64, repeated, tag = "1")]
    #[serde(with = "json::integers")]
    pub(crate) values: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FlameGraphDiff {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) levels: Vec<Level>,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) total: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) max_self: i64,
    #[prost(int64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) left_ticks: i64,
    #[prost(int64, tag = "6")]
    #[serde(with = "json::integer")]
    pub(crate) right_ticks: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SelectMergeStacktracesResponse {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flamegraph: Option<FlameGraph>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "json::bytes", skip_serializing_if = "Vec::is_empty")]
    pub(crate) tree: Vec<u8>,
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) dot: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pprof: Option<PprofProfile>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PprofProfile {
    #[prost(message, optional, tag = "1")]
    pub(crate) profile: Option<Profile>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SelectSeriesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<Series>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SelectHeatmapResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<HeatmapSeries>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DiffResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) flamegraph: Option<FlameGraphDiff>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProfileStatsResponse {
    #[prost(bool, tag = "1")]
    pub(crate) data_ingested: bool,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) oldest_profile_time: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) newest_profile_time: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct AnalyzeQueryResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) query_scopes: Vec<QueryScope>,
    #[prost(message, optional, tag = "2")]
    pub(crate) query_impact: Option<QueryImpact>,
}

/// What a part of the archive reads for a query. What is not known is 0.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct QueryScope {
    #[prost(string, tag = "1")]
    pub(crate) component_type: String,
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) component_count: u64,
    #[prost(uint64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) block_count: u64,
    #[prost(uint64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) series_count: u64,
    #[prost(uint64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) profile_count: u64,
    #[prost(uint64, tag = "8")]
    #[serde(with = "json::integer")]
    pub(crate) profile_bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct QueryImpact {
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) total_bytes_in_time_range: u64,
    #[prost(uint64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) total_queried_series: u64,
    #[prost(bool, tag = "4")]
    pub(crate) deduplication_needed: bool,
}
