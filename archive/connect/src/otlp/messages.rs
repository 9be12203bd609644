//! The messages of `opentelemetry.proto.profiles.v1development`. All profiles of a request share the tables of its
//! dictionary; index 0 of each table means none.
#![expect(
    clippy::struct_field_names,
    reason = "the fields are those of the format"
)]

use crate::json;
use bytes::Bytes;
use davy_profile::wire::{self, Reader, Value};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_profiles: Vec<ResourceProfiles>,
    #[prost(message, optional, tag = "2")]
    pub(crate) dictionary: Option<Dictionary>,
}

/// A request whose profiles and dictionary are not decoded.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Export {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_profiles: Vec<ExportOfResource>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) dictionary: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportOfResource {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_profiles: Vec<ExportOfScope>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportOfScope {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<Scope>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) profiles: Vec<Bytes>,
}

/// [`Dictionary`], whose entries are decoded when a sample refers to them. Most of a request is its dictionary.
#[derive(Default)]
pub(crate) struct Tables<'a> {
    pub(crate) mapping_table: Vec<&'a [u8]>,
    pub(crate) location_table: Vec<&'a [u8]>,
    pub(crate) function_table: Vec<&'a [u8]>,
    pub(crate) link_table: Vec<&'a [u8]>,
    pub(crate) string_table: Vec<&'a [u8]>,
    pub(crate) attribute_table: Vec<&'a [u8]>,
    pub(crate) stack_table: Vec<&'a [u8]>,
}

/// Memory of an entry, with what is noted beside it once it was decoded. In a request it can have two bytes.
const ENTRY_BYTES: usize = 64;

impl<'a> Tables<'a> {
    /// The tables of a dictionary; `None` if they would take more than `limit` bytes of memory.
    pub(crate) fn of(dictionary: &'a [u8], limit: usize) -> Result<Option<Self>, wire::Error> {
        let mut tables = Self::default();
        let mut left = limit / ENTRY_BYTES;
        let mut reader = Reader::new(dictionary);
        while let Some((field, value)) = reader.field()? {
            let table = match field {
                1 => &mut tables.mapping_table,
                2 => &mut tables.location_table,
                3 => &mut tables.function_table,
                4 => &mut tables.link_table,
                5 => &mut tables.string_table,
                6 => &mut tables.attribute_table,
                7 => &mut tables.stack_table,
                _ => continue,
            };
            if let Value::Bytes(entry) = value {
                let Some(others) = left.checked_sub(1) else {
                    return Ok(None);
                };
                left = others;
                table.push(entry);
            }
        }
        Ok(Some(tables))
    }
}

/// The response to a request all of whose profiles are stored.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct ExportResponse {}

/// `google.rpc.Status`: an error over HTTP.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Dictionary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) mapping_table: Vec<Mapping>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) location_table: Vec<Location>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) function_table: Vec<Function>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) link_table: Vec<Link>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) string_table: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) attribute_table: Vec<KeyValueAndUnit>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) stack_table: Vec<Stack>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ResourceProfiles {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_profiles: Vec<ScopeProfiles>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ScopeProfiles {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) profiles: Vec<Profile>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Scope {
    #[prost(message, repeated, tag = "3")]
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Profile {
    #[prost(message, optional, tag = "1")]
    pub(crate) sample_type: Option<ValueType>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(fixed64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) duration_nano: u64,
    #[prost(message, optional, tag = "5")]
    pub(crate) period_type: Option<ValueType>,
    #[prost(int64, tag = "6")]
    #[serde(with = "json::integer")]
    pub(crate) period: i64,
    #[prost(bytes = "vec", tag = "7")]
    #[serde(with = "json::hex")]
    pub(crate) profile_id: Vec<u8>,
    #[prost(int32, repeated, tag = "11")]
    pub(crate) attribute_indices: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ValueType {
    #[prost(int32, tag = "1")]
    pub(crate) type_strindex: i32,
    #[prost(int32, tag = "2")]
    pub(crate) unit_strindex: i32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Sample {
    #[prost(int32, tag = "1")]
    pub(crate) stack_index: i32,
    #[prost(int32, repeated, tag = "2")]
    pub(crate) attribute_indices: Vec<i32>,
    #[prost(int32, tag = "3")]
    pub(crate) link_index: i32,
    #[prost(int64, repeated, tag = "4")]
    #[serde(with = "json::integers")]
    pub(crate) values: Vec<i64>,
    #[prost(fixed64, repeated, tag = "5")]
    #[serde(with = "json::integers")]
    pub(crate) timestamps_unix_nano: Vec<u64>,
}

/// Locations from the leaf to the root.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Stack {
    #[prost(int32, repeated, tag = "1")]
    pub(crate) location_indices: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Location {
    #[prost(int32, tag = "1")]
    pub(crate) mapping_index: i32,
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) address: u64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Line {
    #[prost(int32, tag = "1")]
    pub(crate) function_index: i32,
    #[prost(int64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) line: i64,
    #[prost(int64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) column: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Mapping {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer")]
    pub(crate) memory_start: u64,
    #[prost(uint64, tag = "2")]
    #[serde(with = "json::integer")]
    pub(crate) memory_limit: u64,
    #[prost(uint64, tag = "3")]
    #[serde(with = "json::integer")]
    pub(crate) file_offset: u64,
    #[prost(int32, tag = "4")]
    pub(crate) filename_strindex: i32,
    #[prost(int32, repeated, tag = "5")]
    pub(crate) attribute_indices: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Function {
    #[prost(int32, tag = "1")]
    pub(crate) name_strindex: i32,
    #[prost(int32, tag = "2")]
    pub(crate) system_name_strindex: i32,
    #[prost(int32, tag = "3")]
    pub(crate) filename_strindex: i32,
    #[prost(int64, tag = "4")]
    #[serde(with = "json::integer")]
    pub(crate) start_line: i64,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Link {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "json::hex")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "json::hex")]
    pub(crate) span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct KeyValueAndUnit {
    #[prost(int32, tag = "1")]
    pub(crate) key_strindex: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
    #[prost(int32, tag = "3")]
    pub(crate) unit_strindex: i32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
    #[prost(int32, tag = "3")]
    pub(crate) key_strindex: i32,
}

/// A value. Lists and maps are not read.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct AnyValue {
    #[prost(string, optional, tag = "1")]
    pub(crate) string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) bool_value: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    #[serde(with = "json::optional")]
    pub(crate) int_value: Option<i64>,
    #[prost(double, optional, tag = "4")]
    pub(crate) double_value: Option<f64>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) string_value_strindex: Option<i32>,
}
