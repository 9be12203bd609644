//! Decodes messages that refer to nothing but strings.

use crate::wire::{self, Reader, Value};
use crate::{Function, Label, LabelValue, Mapping, StringId, ValueType};

/// The string of this index. An index above 2^32 becomes one that no table has, so the check of all
/// string indices rejects it.
pub(super) fn string(id: u64) -> StringId {
    StringId(u32::try_from(id).unwrap_or(u32::MAX))
}

/// Calls `each` with the number and value of each integer field of a message. Other fields are skipped.
fn numbers(message: &[u8], base: usize, mut each: impl FnMut(u64, u64)) -> Result<(), wire::Error> {
    let mut reader = Reader::nested(message, base);
    while let Some((field, value)) = reader.field()? {
        if let Value::Varint(value) = value {
            each(field, value);
        }
    }
    Ok(())
}

pub(super) fn value_type(message: &[u8], base: usize) -> Result<ValueType, wire::Error> {
    let mut result = ValueType::default();
    numbers(message, base, |field, value| match field {
        1 => result.kind = string(value),
        2 => result.unit = string(value),
        _ => {}
    })?;
    Ok(result)
}

pub(super) fn mapping(message: &[u8], base: usize) -> Result<(u64, Mapping), wire::Error> {
    let (mut id, mut result) = (0, Mapping::default());
    numbers(message, base, |field, value| match field {
        1 => id = value,
        2 => result.start = value,
        3 => result.limit = value,
        4 => result.file_offset = value,
        5 => result.file = string(value),
        6 => result.build_id = string(value),
        7 => result.has_functions = value != 0,
        8 => result.has_filenames = value != 0,
        9 => result.has_line_numbers = value != 0,
        10 => result.has_inline_frames = value != 0,
        _ => {}
    })?;
    Ok((id, result))
}

pub(super) fn function(message: &[u8], base: usize) -> Result<(u64, Function), wire::Error> {
    let (mut id, mut result) = (0, Function::default());
    numbers(message, base, |field, value| match field {
        1 => id = value,
        2 => result.name = string(value),
        3 => result.system_name = string(value),
        4 => result.file = string(value),
        5 => result.start_line = value as i64,
        _ => {}
    })?;
    Ok((id, result))
}

pub(super) fn label(message: &[u8], base: usize) -> Result<Label, wire::Error> {
    let (mut key, mut text, mut number_value, mut unit) = (0, 0, 0, 0);
    numbers(message, base, |field, value| match field {
        1 => key = value,
        2 => text = value,
        3 => number_value = value as i64,
        4 => unit = value,
        _ => {}
    })?;
    let value = if text != 0 {
        LabelValue::Text(string(text))
    } else {
        LabelValue::Number(number_value, string(unit))
    };
    Ok(Label {
        key: string(key),
        value,
    })
}
