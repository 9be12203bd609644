//! Schemas of the tables.

use crate::format::Table;
use crate::format::columns::Layout;
use serde_json::{Value, json};

/// Field ids of the columns that are the partition. Those of the others are their positions in the file, from 1.
pub(super) const BLOCK: i32 = 1_001;
pub(super) const DAY: i32 = 1_002;
pub(super) const HOUR: i32 = 1_003;

/// Names, field ids and types of the columns of the partition.
const PARTITION: [(&str, i32, &str); 3] = [
    ("block", BLOCK, "string"),
    ("day", DAY, "date"),
    ("hour", HOUR, "int"),
];

fn kind(layout: Layout) -> &'static str {
    match layout {
        Layout::Delta32 | Layout::Plain32 | Layout::Dictionary32 => "int",
        Layout::Delta64 | Layout::Dictionary64 | Layout::Sorted64 => "long",
        Layout::Text | Layout::Distinct => "string",
        Layout::Binary => "binary",
    }
}

/// Names, field ids and types of the columns.
fn columns(table: Table) -> impl Iterator<Item = (&'static str, i32, &'static str)> {
    let stored = (1..).zip(table.columns());
    let stored = stored.map(|(id, (name, layout))| (*name, id, kind(*layout)));
    stored.chain(PARTITION)
}

/// The fields of a schema. None is required, because blocks of earlier releases have fewer columns.
pub(super) fn fields(table: Table) -> Value {
    let field = |(name, id, kind)| json!({"id": id, "name": name, "required": false, "type": kind});
    columns(table).map(field).collect()
}

/// A schema with a number.
pub(super) fn schema(fields: &Value, id: i32) -> Value {
    json!({"type": "struct", "schema-id": id, "fields": fields})
}

/// The partition: a file has one block.
pub(super) fn partition_fields() -> Value {
    let field = |(at, (name, id, _))| json!({"source-id": id, "field-id": at, "name": name, "transform": "identity"});
    (1_000..).zip(PARTITION).map(field).collect()
}

/// The columns by name, because the files have no field ids.
pub(super) fn name_mapping(table: Table) -> String {
    let field = |(name, id, _)| json!({"field-id": id, "names": [name]});
    columns(table).map(field).collect::<Value>().to_string()
}
