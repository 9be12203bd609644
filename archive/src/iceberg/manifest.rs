//! The manifest of a snapshot, which lists its files, and the manifest list, which lists the manifest. Field ids are
//! those of the specification of Iceberg.

use super::avro::{field, number, optional, read, record, text, write};
use super::files::DataFile;
use crate::error::{Error, Result};
use apache_avro::types::Value;
use bytes::Bytes;
use serde_json::json;

/// What happened to a file in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Existing = 0,
    Added = 1,
    Deleted = 2,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) status: Status,
    /// The snapshot that added or deleted it.
    pub(super) snapshot: i64,
    /// The sequence number of the snapshot that added it.
    pub(super) sequence: i64,
    pub(super) file: DataFile,
}

/// Numbers of a manifest, by status.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) files: i32,
    pub(super) rows: i64,
}

fn entry_schema() -> serde_json::Value {
    let optional = |name: &str, id: i32, kind: serde_json::Value| json!({"name": name, "type": ["null", kind], "default": null, "field-id": id});
    let required =
        |name: &str, id: i32, kind: &str| json!({"name": name, "type": kind, "field-id": id});
    let partition = json!({"type": "record", "name": "r102", "fields": [
        optional("block", 1_000, json!("string")),
        optional("day", 1_001, json!({"type": "int", "logicalType": "date"})),
        optional("hour", 1_002, json!("int")),
    ]});
    let file = json!({"type": "record", "name": "r2", "fields": [
        required("content", 134, "int"),
        required("file_path", 100, "string"),
        required("file_format", 101, "string"),
        {"name": "partition", "type": partition, "field-id": 102},
        required("record_count", 103, "long"),
        required("file_size_in_bytes", 104, "long"),
    ]});
    json!({"type": "record", "name": "manifest_entry", "fields": [
        required("status", 0, "int"),
        optional("snapshot_id", 1, json!("long")),
        optional("sequence_number", 3, json!("long")),
        optional("file_sequence_number", 4, json!("long")),
        {"name": "data_file", "type": file, "field-id": 2},
    ]})
}

/// Writes a manifest of files with this schema and partition.
pub(super) fn write_manifest(
    entries: &[Entry],
    schema: &serde_json::Value,
    partition: &serde_json::Value,
) -> Result<Bytes> {
    let metadata = [
        ("schema", schema.to_string()),
        ("schema-id", schema["schema-id"].to_string()),
        ("partition-spec", partition.to_string()),
        ("partition-spec-id", "0".to_owned()),
        ("format-version", "2".to_owned()),
        ("content", "data".to_owned()),
    ];
    let long = |value: i64| optional(Some(Value::Long(value)));
    let records = entries.iter().map(|entry| {
        let file = &entry.file;
        let partition = record(vec![
            ("block", optional(Some(Value::String(file.block.clone())))),
            ("day", optional(Some(Value::Date(file.day)))),
            ("hour", optional(file.hour.map(Value::Int))),
        ]);
        let data_file = record(vec![
            ("content", Value::Int(0)),
            ("file_path", Value::String(file.url.clone())),
            ("file_format", Value::String("PARQUET".to_owned())),
            ("partition", partition),
            ("record_count", Value::Long(file.rows)),
            ("file_size_in_bytes", Value::Long(file.bytes)),
        ]);
        record(vec![
            ("status", Value::Int(entry.status as i32)),
            ("snapshot_id", long(entry.snapshot)),
            ("sequence_number", long(entry.sequence)),
            ("file_sequence_number", long(entry.sequence)),
            ("data_file", data_file),
        ])
    });
    write(&entry_schema(), &metadata, records.collect())
}

/// Reads the files of the snapshot of a manifest.
pub(super) fn read_manifest(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for of in read(bytes)? {
        let required = |record: &Value, name: &str| -> Result<i64> {
            number(record, name)?.ok_or_else(|| Error::corrupt(format!("no {name}")))
        };
        if required(&of, "status")? == Status::Deleted as i64 {
            continue;
        }
        let file = field(&of, "data_file")?;
        let partition = field(file, "partition")?;
        entries.push(Entry {
            status: Status::Existing,
            snapshot: required(&of, "snapshot_id")?,
            sequence: required(&of, "sequence_number")?,
            file: DataFile {
                url: text(file, "file_path")?,
                block: text(partition, "block")?,
                day: required(partition, "day")? as i32,
                hour: number(partition, "hour")?.map(|hour| hour as i32),
                rows: required(file, "record_count")?,
                bytes: required(file, "file_size_in_bytes")?,
            },
        });
    }
    Ok(entries)
}

/// Number of files and rows with a status.
pub(super) fn count(entries: &[Entry], status: Status) -> Count {
    let of_status = entries.iter().filter(|entry| entry.status == status);
    of_status.fold(Count::default(), |count, entry| Count {
        files: count.files + 1,
        rows: count.rows + entry.file.rows,
    })
}

/// A manifest.
pub(super) struct ManifestFile<'a> {
    pub(super) url: String,
    pub(super) bytes: usize,
    pub(super) snapshot: i64,
    pub(super) parent: Option<i64>,
    pub(super) sequence: i64,
    pub(super) entries: &'a [Entry],
}

/// Writes the manifest list of a snapshot with one manifest.
pub(super) fn write_manifest_list(manifest: &ManifestFile<'_>) -> Result<Bytes> {
    let fields = [
        ("manifest_path", 500, "string"),
        ("manifest_length", 501, "long"),
        ("partition_spec_id", 502, "int"),
        ("content", 517, "int"),
        ("sequence_number", 515, "long"),
        ("min_sequence_number", 516, "long"),
        ("added_snapshot_id", 503, "long"),
        ("added_files_count", 504, "int"),
        ("existing_files_count", 505, "int"),
        ("deleted_files_count", 506, "int"),
        ("added_rows_count", 512, "long"),
        ("existing_rows_count", 513, "long"),
        ("deleted_rows_count", 514, "long"),
    ];
    let fields: Vec<serde_json::Value> = fields
        .iter()
        .map(|(name, id, kind)| json!({"name": name, "type": kind, "field-id": id}))
        .collect();
    let schema = json!({"type": "record", "name": "manifest_file", "fields": fields});
    let of = |status| count(manifest.entries, status);
    let (added, existing, deleted) = (of(Status::Added), of(Status::Existing), of(Status::Deleted));
    let kept = manifest.entries.iter();
    let kept = kept.filter(|entry| entry.status != Status::Deleted);
    let first = kept.map(|entry| entry.sequence).min();
    let (snapshot, sequence) = (manifest.snapshot, manifest.sequence);
    let row = record(vec![
        ("manifest_path", Value::String(manifest.url.clone())),
        ("manifest_length", Value::Long(manifest.bytes as i64)),
        ("partition_spec_id", Value::Int(0)),
        ("content", Value::Int(0)),
        ("sequence_number", Value::Long(sequence)),
        (
            "min_sequence_number",
            Value::Long(first.unwrap_or(sequence)),
        ),
        ("added_snapshot_id", Value::Long(snapshot)),
        ("added_files_count", Value::Int(added.files)),
        ("existing_files_count", Value::Int(existing.files)),
        ("deleted_files_count", Value::Int(deleted.files)),
        ("added_rows_count", Value::Long(added.rows)),
        ("existing_rows_count", Value::Long(existing.rows)),
        ("deleted_rows_count", Value::Long(deleted.rows)),
    ]);
    let parent = manifest.parent.map(|parent| parent.to_string());
    let metadata = [
        ("format-version", "2".to_owned()),
        ("snapshot-id", snapshot.to_string()),
        ("parent-snapshot-id", parent.unwrap_or("null".to_owned())),
        ("sequence-number", sequence.to_string()),
    ];
    write(&schema, &metadata, vec![row])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_gives_back_the_files_that_were_not_deleted() {
        let entry = |status, hour: Option<i32>| Entry {
            status,
            snapshot: 7,
            sequence: 3,
            file: DataFile {
                url: format!("s3://b/{hour:?}"),
                block: "0a".to_owned(),
                day: 20_000,
                hour,
                rows: 9,
                bytes: 100,
            },
        };
        let entries = [
            entry(Status::Added, None),
            entry(Status::Existing, Some(23)),
            entry(Status::Deleted, Some(1)),
        ];
        let schema = json!({"schema-id": 0});
        let bytes = write_manifest(&entries, &schema, &json!([])).expect("written");
        let header = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]).into_owned();
        assert!(header.contains("\"field-id\":134"), "{header}");
        let read = read_manifest(&bytes).expect("read");
        let expected = [
            entry(Status::Existing, None),
            entry(Status::Existing, Some(23)),
        ];
        assert_eq!(read, expected);
    }
}
