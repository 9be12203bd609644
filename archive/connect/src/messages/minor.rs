//! Messages of the services beside the querier.

use crate::json;
use serde::{Deserialize, Serialize};

/// A request or response without fields.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub(crate) struct Empty {}

/// The version of the query API.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VersionResponse {
    #[prost(uint64, tag = "1")]
    #[serde(with = "json::integer", rename = "QuerierAPI")]
    pub(crate) querier_api: u64,
}
