//! Labels, profile types, series and selectors of stacks (`types.v1`).

use crate::json;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Labels {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<LabelPair>,
}

/// Label pairs.
pub(crate) fn pairs(labels: impl IntoIterator<Item = (String, String)>) -> Vec<LabelPair> {
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| LabelPair { name, value })
        .collect()
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProfileType {
    #[prost(string, tag = "1")]
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) sample_type: String,
    #[prost(string, tag = "5")]
    pub(crate) sample_unit: String,
    #[prost(string, tag = "6")]
    pub(crate) period_type: String,
    #[prost(string, tag = "7")]
    pub(crate) period_unit: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Series {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Point {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) timestamp: i64,
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exemplars: Vec<Exemplar>,
}

/// A profile, or a span in it, that stands for the values of a step.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Exemplar {
    #[prost(int64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) timestamp: i64,
    #[prost(string, tag = "2")]
    pub(crate) profile_id: String,
    #[prost(string, tag = "3")]
    pub(crate) span_id: String,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) value: i64,
    #[prost(message, repeated, tag = "5")]
    pub(crate) labels: Vec<LabelPair>,
    #[prost(string, tag = "6")]
    pub(crate) trace_id: String,
}

impl From<davy_archive::query::Exemplar> for Exemplar {
    fn from(of: davy_archive::query::Exemplar) -> Self {
        // The form of a UUID.
        let id = format!("{:032x}", of.profile);
        let ends = [0, 8, 12, 16, 20, 32];
        let parts: Vec<&str> = ends.windows(2).map(|of| &id[of[0]..of[1]]).collect();
        let or_none = |id: String, is_known: bool| if is_known { id } else { String::new() };
        Self {
            timestamp: of.at_ms,
            profile_id: parts.join("-"),
            span_id: or_none(format!("{:016x}", of.span.span), of.span.span != 0),
            value: of.value,
            labels: pairs(of.labels),
            trace_id: or_none(format!("{:032x}", of.span.trace), of.span.trace != 0),
        }
    }
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HeatmapSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) slots: Vec<HeatmapSlot>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HeatmapSlot {
    #[prost(int64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) timestamp: i64,
    #[prost(double, repeated, tag = "2")]
    pub(crate) y_min: Vec<f64>,
    #[prost(int32, repeated, tag = "3")]
    pub(crate) counts: Vec<i32>,
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Selects stacks by the functions at their root.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StackTraceSelector {
    #[prost(message, repeated, tag = "1")]
    #[serde(alias = "call_site")]
    pub(crate) call_site: Vec<Location>,
    #[prost(message, optional, tag = "2")]
    #[serde(alias = "go_pgo")]
    pub(crate) go_pgo: Option<GoPgo>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Location {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// What Go's compiler needs of a profile.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct GoPgo {
    #[prost(uint32, tag = "1")]
    #[serde(alias = "keep_locations")]
    pub(crate) keep_locations: u32,
    #[prost(bool, tag = "2")]
    #[serde(alias = "aggregate_callees")]
    pub(crate) aggregate_callees: bool,
}
