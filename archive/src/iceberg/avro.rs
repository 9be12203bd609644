//! Avro files, and the values of their records.

use crate::error::{Error, ErrorKind, Result};
use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Reader, Schema, Writer};
use bytes::Bytes;

fn failed(error: apache_avro::Error) -> Error {
    Error::caused(ErrorKind::Internal, "cannot write Avro", error)
}

/// Writes a file with this metadata.
pub(super) fn write(
    schema: &serde_json::Value,
    metadata: &[(&str, String)],
    records: Vec<Value>,
) -> Result<Bytes> {
    let schema = Schema::parse(schema).map_err(failed)?;
    let codec = Codec::Deflate(DeflateSettings::default());
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec).map_err(failed)?;
    for (key, value) in metadata {
        writer
            .add_user_metadata((*key).to_owned(), value)
            .map_err(failed)?;
    }
    for record in records {
        writer.append_value(record).map_err(failed)?;
    }
    Ok(writer.into_inner().map_err(failed)?.into())
}

/// Reads the records of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Value>> {
    let reader = Reader::new(bytes).map_err(Error::corrupt_by)?;
    let records: std::result::Result<Vec<Value>, _> = reader.collect();
    records.map_err(Error::corrupt_by)
}

/// A record.
pub(super) fn record(fields: Vec<(&str, Value)>) -> Value {
    let named = |(name, value): (&str, Value)| (name.to_owned(), value);
    Value::Record(fields.into_iter().map(named).collect())
}

/// A value that may be null.
pub(super) fn optional(value: Option<Value>) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    }
}

/// The value of a field. Null is the value of an optional field without one.
pub(super) fn field<'a>(record: &'a Value, name: &str) -> Result<&'a Value> {
    let Value::Record(fields) = record else {
        return Err(Error::corrupt("not a record"));
    };
    let found = fields.iter().find(|(of, _)| of == name);
    let (_, value) = found.ok_or_else(|| Error::corrupt(format!("no field {name}")))?;
    Ok(match value {
        Value::Union(_, value) => value,
        value => value,
    })
}

/// The number of a field, if it has one.
pub(super) fn number(record: &Value, name: &str) -> Result<Option<i64>> {
    match field(record, name)? {
        Value::Null => Ok(None),
        Value::Int(number) | Value::Date(number) => Ok(Some((*number).into())),
        Value::Long(number) => Ok(Some(*number)),
        _ => Err(Error::corrupt(format!("{name} is not a number"))),
    }
}

/// The text of a field.
pub(super) fn text(record: &Value, name: &str) -> Result<String> {
    match field(record, name)? {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Error::corrupt(format!("{name} is not a string"))),
    }
}
