//! Messages of the service of debug files (`debuginfo.v1alpha1`). The type of a file, with or without its code, is ignored:
//! the file shows it.

use crate::json;
use serde::{Deserialize, Serialize};

/// What a client knows of a file.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FileMetadata {
    #[prost(string, tag = "1")]
    #[serde(alias = "gnu_build_id")]
    pub(crate) gnu_build_id: String,
    #[prost(string, tag = "2")]
    #[serde(alias = "go_build_id")]
    pub(crate) go_build_id: String,
    #[prost(string, tag = "3")]
    #[serde(alias = "otel_file_id")]
    pub(crate) otel_file_id: String,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ShouldInitiateUploadRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) file: Option<FileMetadata>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ShouldInitiateUploadResponse {
    #[prost(bool, tag = "1")]
    pub(crate) should_initiate_upload: bool,
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// A request that names a build.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct BuildRequest {
    #[prost(string, tag = "1")]
    #[serde(alias = "gnu_build_id")]
    pub(crate) gnu_build_id: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ListDebuginfoResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) object: Vec<ObjectMetadata>,
}

/// `STATE_UPLOADED`.
pub(crate) const UPLOADED: i32 = 1;

/// What is stored of a file.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ObjectMetadata {
    #[prost(message, optional, tag = "1")]
    pub(crate) file: Option<FileMetadata>,
    #[prost(int32, tag = "2")]
    pub(crate) state: i32,
    #[prost(message, optional, tag = "4")]
    #[serde(skip)]
    pub(crate) finished_at: Option<Time>,
    #[prost(int64, tag = "5")]
    #[serde(with = "json::integer")]
    pub(crate) size_bytes: i64,
}

/// A time.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Time {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}
