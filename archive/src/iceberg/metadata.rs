//! The metadata object of a table, as the specification of Iceberg describes it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A state of a table.
#[expect(clippy::struct_field_names, reason = "the names of the specification")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    pub(super) snapshot_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_snapshot_id: Option<i64>,
    pub(super) sequence_number: i64,
    pub(super) timestamp_ms: i64,
    pub(super) manifest_list: String,
    pub(super) summary: BTreeMap<String, String>,
    pub(super) schema_id: i32,
}

/// When a snapshot became the current one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SnapshotLog {
    pub(super) timestamp_ms: i64,
    pub(super) snapshot_id: i64,
}

/// An earlier metadata object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MetadataLog {
    pub(super) timestamp_ms: i64,
    pub(super) metadata_file: String,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TableMetadata {
    format_version: i32,
    table_uuid: String,
    pub(super) location: String,
    pub(super) last_sequence_number: i64,
    pub(super) last_updated_ms: i64,
    last_column_id: i32,
    pub(super) schemas: Vec<Value>,
    pub(super) current_schema_id: i32,
    partition_specs: Value,
    default_spec_id: i32,
    last_partition_id: i32,
    pub(super) properties: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_snapshot_id: Option<i64>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) snapshot_log: Vec<SnapshotLog>,
    pub(super) metadata_log: Vec<MetadataLog>,
    sort_orders: Value,
    default_sort_order_id: i32,
    pub(super) refs: Value,
}

/// A random UUID.
pub(super) fn uuid(bits: u128) -> String {
    // Version 4, variant 1.
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let text = format!("{bits:032x}");
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

impl TableMetadata {
    /// A table without snapshots.
    pub(super) fn new(bits: u128, location: String, partition: &Value) -> Self {
        Self {
            format_version: 2,
            table_uuid: uuid(bits),
            location,
            last_sequence_number: 0,
            last_updated_ms: 0,
            last_column_id: super::schema::HOUR,
            schemas: Vec::new(),
            current_schema_id: 0,
            partition_specs: json!([{"spec-id": 0, "fields": partition}]),
            default_spec_id: 0,
            last_partition_id: 1_002,
            properties: BTreeMap::new(),
            current_snapshot_id: None,
            snapshots: Vec::new(),
            snapshot_log: Vec::new(),
            metadata_log: Vec::new(),
            sort_orders: json!([{"order-id": 0, "fields": []}]),
            default_sort_order_id: 0,
            refs: json!({}),
        }
    }

    /// Makes a schema with these fields the current one, and returns it.
    pub(super) fn set_schema(&mut self, fields: &Value) -> Value {
        let known = self.schemas.iter().find(|of| of["fields"] == *fields);
        let schema = known.cloned().unwrap_or_else(|| {
            let new = super::schema::schema(fields, self.schemas.len() as i32);
            self.schemas.push(new.clone());
            new
        });
        self.current_schema_id = schema["schema-id"].as_i64().unwrap_or(0) as i32;
        schema
    }

    /// The current snapshot.
    pub(super) fn current(&self) -> Option<&Snapshot> {
        let id = self.current_snapshot_id?;
        self.snapshots.iter().find(|of| of.snapshot_id == id)
    }

    /// Makes a new snapshot the current one, and forgets those that are older than `oldest_ms`.
    pub(super) fn add(&mut self, snapshot: Snapshot, oldest_ms: i64) {
        let (id, at) = (snapshot.snapshot_id, snapshot.timestamp_ms);
        self.last_sequence_number = snapshot.sequence_number;
        self.last_updated_ms = at;
        self.current_snapshot_id = Some(id);
        self.snapshots.retain(|of| of.timestamp_ms >= oldest_ms);
        self.snapshots.push(snapshot);
        self.snapshot_log.push(SnapshotLog {
            timestamp_ms: at,
            snapshot_id: id,
        });
        let snapshots = &self.snapshots;
        let is_known = |of: &SnapshotLog| {
            let mut snapshots = snapshots.iter();
            snapshots.any(|known| known.snapshot_id == of.snapshot_id)
        };
        self.snapshot_log.retain(is_known);
        self.refs = json!({"main": {"snapshot-id": id, "type": "branch"}});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_is_random_of_version_4() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
