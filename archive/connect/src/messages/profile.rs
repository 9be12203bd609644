//! A pprof profile as a message, for its JSON form. `davy_profile::pprof` reads and writes the protobuf form.
#![expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "the fields are those of the format"
)]

use crate::json;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Profile {
    #[prost(message, repeated, tag = "1")]
    pub(crate) sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    pub(crate) string_table: Vec<String>,
    #[prost(int64, tag = "7")]
    #[serde(with = "json::integer")]
    pub(crate) drop_frames: i64,
    #[prost(int64, tag = "8")]
    #[serde(with = "json::integer")]
    pub(crate) keep_frames: i64,
    #[prost(int64, tag = "9")]
    #[serde(with = "json::integer")]
    pub(crate) time_nanos: i64,
    #[prost(int64, tag = "10")]
    #[serde(with = "json::integer")]
    pub(crate) duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    pub(crate) period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    #[serde(with = "json::integer")]
    pub(crate) period: i64,
    #[prost(int64, repeated, tag = "13")]
    #[serde(with = "json::integers")]
    pub(crate) comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    #[serde(with = "json::integer")]
    pub(crate) default_sample_type: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ValueType {
    #[prost(int64, tag = "1")]
    #[serde(with = "json::integer", rename = "type")]
    pub(crate) kind: i64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) unit: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    #[serde(with = "json::integers")]
    pub(crate) location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    #[serde(with = "json::integers")]
    pub(crate) value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) label: Vec<Label>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Label {
    #[prost(int64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) key: i64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) str: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) num: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) num_unit: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Mapping {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) id: u64,
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) memory_start: u64,
    #[prost(uint64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) memory_limit: u64,
    #[prost(uint64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) file_offset: u64,
    #[prost(int64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) filename: i64,
    #[prost(int64, tag = "6")]
    #[serde(with = "json::integer")]
    pub(crate) build_id: i64,
    #[prost(bool, tag = "7")]
    pub(crate) has_functions: bool,
    #[prost(bool, tag = "8")]
    pub(crate) has_filenames: bool,
    #[prost(bool, tag = "9")]
    pub(crate) has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    pub(crate) has_inline_frames: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Location {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) id: u64,
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) mapping_id: u64,
    #[prost(uint64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) address: u64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) line: Vec<Line>,
    #[prost(bool, tag = "5")]
    pub(crate) is_folded: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Line {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) function_id: u64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) line: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) column: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Function {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) id: u64,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) name: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) system_name: i64,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) filename: i64,
    #[prost(int64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) start_line: i64,
}
