//! From attributes to labels.

use super::messages::{AnyValue, KeyValue, KeyValueAndUnit, Link, Tables};
use crate::json::hex;
use crate::status::Status;
use davy_archive::labels::SERVICE;
use prost::Message;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Attributes that name the service if `service.name` is missing, the most specific one first.
const SERVICES: [&str; 4] = [
    "k8s.deployment.name",
    "container.name",
    "process.executable.name",
    "process.command",
];
/// The service of a profile that names none.
const UNKNOWN: &str = "unknown_service";

/// Attributes with scalar values, by their names in OpenTelemetry.
pub(super) type Attributes = BTreeMap<String, String>;

/// Names and values of labels.
pub(super) type LabelSet = Vec<(String, String)>;

/// The bytes of an entry of a table; `None` for index 0, which means none.
pub(super) fn entry<'a>(
    table: &[&'a [u8]],
    index: i32,
    what: &str,
) -> Result<Option<&'a [u8]>, Status> {
    if index == 0 {
        return Ok(None);
    }
    let entry = usize::try_from(index).ok().and_then(|at| table.get(at));
    entry.copied().map(Some).ok_or_else(|| {
        Status::invalid(format!(
            "invalid profile: index {index} of {what}, which has {} entries",
            table.len()
        ))
    })
}

/// An entry of a table as a message; `None` for index 0, which means none.
pub(super) fn message<M: Message + Default>(
    table: &[&[u8]],
    index: i32,
    what: &str,
) -> Result<Option<M>, Status> {
    let decoded = entry(table, index, what)?.map(|bytes| {
        M::decode(bytes).map_err(|error| {
            Status::invalid(format!("invalid profile: entry {index} of {what}: {error}"))
        })
    });
    decoded.transpose()
}

/// A string of the dictionary. Some profilers cut names within a character.
pub(super) fn text<'a>(dictionary: &Tables<'a>, index: i32) -> Result<Cow<'a, str>, Status> {
    let text = entry(&dictionary.string_table, index, "string_table")?;
    Ok(text.map_or(Cow::Borrowed(""), String::from_utf8_lossy))
}

/// A value as text; `None` if it is not a scalar.
fn scalar(dictionary: &Tables<'_>, value: Option<&AnyValue>) -> Result<Option<String>, Status> {
    let Some(value) = value else {
        return Ok(None);
    };
    if let Some(index) = value.string_value_strindex {
        return Ok(Some(text(dictionary, index)?.into_owned()));
    }
    let number = value.int_value.map(|number| number.to_string());
    let text = value.string_value.clone().or(number);
    let text = text.or_else(|| value.bool_value.map(|value| value.to_string()));
    Ok(text.or_else(|| value.double_value.map(|value| value.to_string())))
}

/// Adds attributes of a resource or a scope.
pub(super) fn add_pairs(
    to: &mut Attributes,
    dictionary: &Tables<'_>,
    pairs: &[KeyValue],
) -> Result<(), Status> {
    for pair in pairs {
        let key = if pair.key.is_empty() {
            text(dictionary, pair.key_strindex)?
        } else {
            Cow::Borrowed(pair.key.as_str())
        };
        if let Some(value) = scalar(dictionary, pair.value.as_ref())? {
            to.insert(key.into_owned(), value);
        }
    }
    Ok(())
}

/// Adds attributes of the dictionary.
pub(super) fn add_indices(
    to: &mut Attributes,
    dictionary: &Tables<'_>,
    indices: &[i32],
) -> Result<(), Status> {
    for index in indices {
        let table = &dictionary.attribute_table;
        let Some(attribute) = message::<KeyValueAndUnit>(table, *index, "attribute_table")? else {
            continue;
        };
        let key = text(dictionary, attribute.key_strindex)?;
        if let Some(value) = scalar(dictionary, attribute.value.as_ref())? {
            to.insert(key.into_owned(), value);
        }
    }
    Ok(())
}

/// Adds the ids of the trace and the span of a link.
pub(super) fn add_link(
    to: &mut Attributes,
    dictionary: &Tables<'_>,
    index: i32,
) -> Result<(), Status> {
    if let Some(link) = message::<Link>(&dictionary.link_table, index, "link_table")? {
        for (name, id) in [("trace_id", &link.trace_id), ("span_id", &link.span_id)] {
            if id.iter().any(|byte| *byte != 0) {
                to.insert(name.to_owned(), hex::encode(id));
            }
        }
    }
    Ok(())
}

/// The name of a label: letters, digits and `_`, not beginning with a digit.
fn label_name(attribute: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = attribute.chars().map(letter).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}

/// Labels of attributes. Labels with an empty value count as absent.
pub(super) fn labels(attributes: &Attributes) -> LabelSet {
    let pairs = attributes.iter().filter(|(_, value)| !value.is_empty());
    let labels: BTreeMap<String, String> = pairs
        .map(|(name, value)| (label_name(name), value.clone()))
        .collect();
    labels.into_iter().collect()
}

/// Labels of the series of a service: those of the attributes, and the name of the service, which a sample can state.
pub(super) fn source(attributes: &Attributes, of_sample: Option<&str>) -> LabelSet {
    let stated = |name: &str| {
        let value = attributes.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    };
    let service = of_sample
        .or_else(|| stated("service.name"))
        .or_else(|| SERVICES.iter().find_map(|name| stated(name)))
        .unwrap_or(UNKNOWN);
    let mut labels = labels(attributes);
    labels.retain(|(name, _)| name != SERVICE);
    labels.push((SERVICE.to_owned(), service.to_owned()));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_is_the_most_specific_name() {
        let check = |pairs: &[(&str, &str)], of_sample: Option<&str>, expected: &str| {
            let pairs = pairs.iter();
            let attributes = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let labels = source(&attributes.collect(), of_sample);
            let service = labels.iter().find(|(name, _)| name == SERVICE);
            assert_eq!(service.map(|(_, value)| value.as_str()), Some(expected));
        };
        let process = ("process.executable.name", "node");
        check(&[("service.name", "web"), process], None, "web");
        check(&[("service.name", "web"), process], Some("api"), "api");
        check(&[("service.name", ""), process], None, "node");
        check(&[process, ("container.name", "shop")], None, "shop");
        check(&[], None, "unknown_service");
    }

    #[test]
    fn names_of_labels_can_be_selected_everywhere() {
        for (attribute, expected) in [
            ("k8s.pod.name", "k8s_pod_name"),
            ("http/route", "http_route"),
            ("1st", "_1st"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(label_name(attribute), expected);
        }
    }
}
