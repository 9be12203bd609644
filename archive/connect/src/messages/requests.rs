//! Requests to `querier.v1.QuerierService`.

use super::labels::StackTraceSelector;
use crate::json;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProfileTypesRequest {
    #[prost(int64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LabelNamesRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) matchers: Vec<String>,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LabelValuesRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) matchers: Vec<String>,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SeriesRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) matchers: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    #[serde(alias = "label_names")]
    pub(crate) label_names: Vec<String>,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
}

fn format<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    const NAMES: &[&str] = &[
        "PROFILE_FORMAT_UNSPECIFIED",
        "PROFILE_FORMAT_FLAMEGRAPH",
        "PROFILE_FORMAT_TREE",
        "PROFILE_FORMAT_DOT",
        "PROFILE_FORMAT_PPROF",
    ];
    json::number_of(from, NAMES)
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SelectMergeStacktracesRequest {
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub(crate) profile_type_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "label_selector")]
    pub(crate) label_selector: String,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    #[prost(int64, optional, tag = "5")]
    #[serde(with = "json::optional", alias = "max_nodes")]
    pub(crate) max_nodes: Option<i64>,
    #[prost(int32, tag = "6")]
    #[serde(deserialize_with = "format")]
    pub(crate) format: i32,
    #[prost(message, optional, tag = "7")]
    #[serde(alias = "stack_trace_selector")]
    pub(crate) stack_trace_selector: Option<StackTraceSelector>,
    #[prost(string, repeated, tag = "8")]
    #[serde(alias = "profile_id_selector")]
    pub(crate) profile_id_selector: Vec<String>,
    #[prost(string, repeated, tag = "10")]
    #[serde(alias = "trace_id_selector")]
    pub(crate) trace_id_selector: Vec<String>,
    #[prost(string, repeated, tag = "11")]
    #[serde(alias = "span_selector")]
    pub(crate) span_selector: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SelectMergeSpanProfileRequest {
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub(crate) profile_type_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "label_selector")]
    pub(crate) label_selector: String,
    #[prost(string, repeated, tag = "3")]
    #[serde(alias = "span_selector")]
    pub(crate) span_selector: Vec<String>,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    #[prost(int64, optional, tag = "6")]
    #[serde(with = "json::optional", alias = "max_nodes")]
    pub(crate) max_nodes: Option<i64>,
    #[prost(int32, tag = "7")]
    #[serde(deserialize_with = "format")]
    pub(crate) format: i32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SelectMergeProfileRequest {
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub(crate) profile_type_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "label_selector")]
    pub(crate) label_selector: String,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    #[prost(int64, optional, tag = "5")]
    #[serde(with = "json::optional", alias = "max_nodes")]
    pub(crate) max_nodes: Option<i64>,
    #[prost(message, optional, tag = "6")]
    #[serde(alias = "stack_trace_selector")]
    pub(crate) stack_trace_selector: Option<StackTraceSelector>,
    #[prost(string, repeated, tag = "7")]
    #[serde(alias = "profile_id_selector")]
    pub(crate) profile_id_selector: Vec<String>,
    #[prost(string, repeated, tag = "8")]
    #[serde(alias = "trace_id_selector")]
    pub(crate) trace_id_selector: Vec<String>,
}

fn aggregation<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    const NAMES: &[&str] = &[
        "TIME_SERIES_AGGREGATION_TYPE_SUM",
        "TIME_SERIES_AGGREGATION_TYPE_AVERAGE",
    ];
    json::number_of(from, NAMES).map(Some)
}

fn exemplars<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    const NAMES: &[&str] = &[
        "EXEMPLAR_TYPE_UNSPECIFIED",
        "EXEMPLAR_TYPE_NONE",
        "EXEMPLAR_TYPE_INDIVIDUAL",
        "EXEMPLAR_TYPE_SPAN",
    ];
    json::number_of(from, NAMES)
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SelectSeriesRequest {
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub(crate) profile_type_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "label_selector")]
    pub(crate) label_selector: String,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    #[prost(string, repeated, tag = "5")]
    #[serde(alias = "group_by")]
    pub(crate) group_by: Vec<String>,
    /// In seconds.
    #[prost(double, tag = "6")]
    #[serde(deserialize_with = "json::double")]
    pub(crate) step: f64,
    #[prost(int32, optional, tag = "7")]
    #[serde(deserialize_with = "aggregation")]
    pub(crate) aggregation: Option<i32>,
    #[prost(message, optional, tag = "8")]
    #[serde(alias = "stack_trace_selector")]
    pub(crate) stack_trace_selector: Option<StackTraceSelector>,
    #[prost(int64, optional, tag = "9")]
    #[serde(with = "json::optional")]
    pub(crate) limit: Option<i64>,
    #[prost(int32, tag = "10")]
    #[serde(deserialize_with = "exemplars", alias = "exemplar_type")]
    pub(crate) exemplar_type: i32,
}

fn heatmap<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    const NAMES: &[&str] = &[
        "HEATMAP_QUERY_TYPE_UNSPECIFIED",
        "HEATMAP_QUERY_TYPE_INDIVIDUAL",
        "HEATMAP_QUERY_TYPE_SPAN",
    ];
    json::number_of(from, NAMES)
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SelectHeatmapRequest {
    #[prost(string, tag = "1")]
    #[serde(rename = "profileTypeID", alias = "profile_typeID")]
    pub(crate) profile_type_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "label_selector")]
    pub(crate) label_selector: String,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    /// In seconds.
    #[prost(double, tag = "5")]
    #[serde(deserialize_with = "json::double")]
    pub(crate) step: f64,
    #[prost(string, repeated, tag = "6")]
    #[serde(alias = "group_by")]
    pub(crate) group_by: Vec<String>,
    #[prost(int32, tag = "7")]
    #[serde(deserialize_with = "heatmap", alias = "query_type")]
    pub(crate) query_type: i32,
    #[prost(int32, tag = "8")]
    #[serde(deserialize_with = "exemplars", alias = "exemplar_type")]
    pub(crate) exemplar_type: i32,
    #[prost(int64, optional, tag = "9")]
    #[serde(with = "json::optional")]
    pub(crate) limit: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DiffRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) left: Option<SelectMergeStacktracesRequest>,
    #[prost(message, optional, tag = "2")]
    pub(crate) right: Option<SelectMergeStacktracesRequest>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AnalyzeQueryRequest {
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) start: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) end: i64,
    #[prost(string, tag = "4")]
    pub(crate) query: String,
}
