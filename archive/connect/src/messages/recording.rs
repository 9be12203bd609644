//! Messages of the recording rules (`settings.v1`).

use super::labels::LabelPair;
use crate::json;
use serde::{Deserialize, Serialize};

/// Stacks with a function.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FunctionFilter {
    #[prost(string, tag = "1")]
    #[serde(alias = "function_name")]
    pub(crate) function_name: String,
    /// 0 is the total.
    #[prost(int32, tag = "2")]
    #[serde(skip)]
    pub(crate) metric_type: i32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StacktraceFilter {
    #[prost(message, optional, tag = "1")]
    #[serde(alias = "function_name", skip_serializing_if = "Option::is_none")]
    pub(crate) function_name: Option<FunctionFilter>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Rule {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) metric_name: String,
    #[prost(string, tag = "3")]
    pub(crate) profile_type: String,
    #[prost(string, repeated, tag = "4")]
    pub(crate) matchers: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) group_by: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) external_labels: Vec<LabelPair>,
    #[prost(int64, tag = "7")]
    #[serde(with = "json::integer")]
    pub(crate) generation: i64,
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stacktrace_filter: Option<StacktraceFilter>,
    #[prost(bool, tag = "9")]
    pub(crate) provisioned: bool,
}

/// The rule of a response.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RuleResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) rule: Option<Rule>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ListRulesResponse {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rules: Vec<Rule>,
}

/// A request that names a rule.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RuleRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct UpsertRuleRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "metric_name")]
    pub(crate) metric_name: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) matchers: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    #[serde(alias = "group_by")]
    pub(crate) group_by: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    #[serde(alias = "external_labels")]
    pub(crate) external_labels: Vec<LabelPair>,
    #[prost(int64, tag = "6")]
    #[serde(with = "json::integer")]
    pub(crate) generation: i64,
    #[prost(message, optional, tag = "7")]
    #[serde(alias = "stacktrace_filter")]
    pub(crate) stacktrace_filter: Option<StacktraceFilter>,
}
