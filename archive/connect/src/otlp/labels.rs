//! From attributes to labels.

use super::messages::{AnyValue, KeyValue, KeyValueAndUnit, Link, Tables};
use crate::json::hex;
use crate::status::Status;
use davy_archive::labels::SERVICE;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

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
pub(super) type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// A name and a value.
type Pair = (Arc<str>, Arc<str>);

/// Names and values of the labels of samples.
pub(super) type LabelSet = Vec<Pair>;

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

/// An attribute of a dictionary.
#[derive(Clone)]
enum Attribute {
    Undecoded,
    Scalar(Pair),
    /// A list or a map.
    Other,
}

/// The strings and the attributes of a dictionary. Each is decoded once, because any number of attributes can have the same
/// strings, and any number of samples the same attributes.
pub(super) struct Texts<'a> {
    tables: &'a Tables<'a>,
    strings: Vec<Option<Arc<str>>>,
    attributes: Vec<Attribute>,
}

impl<'a> Texts<'a> {
    pub(super) fn of(tables: &'a Tables<'a>) -> Self {
        Self {
            tables,
            strings: vec![None; tables.string_table.len()],
            attributes: vec![Attribute::Undecoded; tables.attribute_table.len()],
        }
    }

    /// A string. Some profilers cut names within a character.
    pub(super) fn text(&mut self, index: i32) -> Result<Arc<str>, Status> {
        let Some(text) = entry(&self.tables.string_table, index, "string_table")? else {
            return Ok("".into());
        };
        let known = &mut self.strings[index as usize];
        let text = known.get_or_insert_with(|| String::from_utf8_lossy(text).into());
        Ok(Arc::clone(text))
    }

    /// A value as text; `None` if it is not a scalar.
    fn scalar(&mut self, value: Option<AnyValue>) -> Result<Option<Arc<str>>, Status> {
        let Some(value) = value else {
            return Ok(None);
        };
        if let Some(index) = value.string_value_strindex {
            return self.text(index).map(Some);
        }
        let number = value.int_value.map(|number| number.to_string());
        let text = value.string_value.or(number);
        let text = text.or_else(|| value.bool_value.map(|value| value.to_string()));
        let text = text.or_else(|| value.double_value.map(|value| value.to_string()));
        Ok(text.map(Arc::from))
    }

    /// Adds attributes of a resource or a scope.
    pub(super) fn add_pairs(
        &mut self,
        to: &mut Attributes,
        pairs: Vec<KeyValue>,
    ) -> Result<(), Status> {
        for pair in pairs {
            let key = if pair.key.is_empty() {
                self.text(pair.key_strindex)?
            } else {
                pair.key.into()
            };
            if let Some(value) = self.scalar(pair.value)? {
                to.insert(key, value);
            }
        }
        Ok(())
    }

    /// Adds attributes of the dictionary.
    pub(super) fn add_indices(
        &mut self,
        to: &mut Attributes,
        indices: &[i32],
    ) -> Result<(), Status> {
        for index in indices {
            let (table, what) = (&self.tables.attribute_table, "attribute_table");
            if entry(table, *index, what)?.is_none() {
                continue;
            }
            let at = *index as usize;
            if matches!(self.attributes[at], Attribute::Undecoded) {
                let of: KeyValueAndUnit = message(table, *index, what)?.unwrap_or_default();
                let key = self.text(of.key_strindex)?;
                let value = self.scalar(of.value)?;
                let scalar = |value| Attribute::Scalar((key, value));
                self.attributes[at] = value.map_or(Attribute::Other, scalar);
            }
            if let Attribute::Scalar((key, value)) = &self.attributes[at] {
                to.insert(Arc::clone(key), Arc::clone(value));
            }
        }
        Ok(())
    }

    /// Adds the ids of the trace and the span of a link.
    pub(super) fn add_link(&self, to: &mut Attributes, index: i32) -> Result<(), Status> {
        if let Some(link) = message::<Link>(&self.tables.link_table, index, "link_table")? {
            for (name, id) in [("trace_id", &link.trace_id), ("span_id", &link.span_id)] {
                if id.iter().any(|byte| *byte != 0) {
                    to.insert(name.into(), hex::encode(id).into());
                }
            }
        }
        Ok(())
    }
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
    let labels: BTreeMap<String, &Arc<str>> = pairs
        .map(|(name, value)| (label_name(name), value))
        .collect();
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| (name.into(), Arc::clone(value)))
        .collect()
}

/// Labels of the series of a service: those of the attributes, and the name of the service, which a sample can state.
pub(super) fn source(attributes: &Attributes, of_sample: Option<&str>) -> LabelSet {
    let stated = |name: &str| {
        let value = attributes.get(name).map(|value| &**value);
        value.filter(|value| !value.is_empty())
    };
    let service = of_sample
        .or_else(|| stated("service.name"))
        .or_else(|| SERVICES.iter().find_map(|name| stated(name)))
        .unwrap_or(UNKNOWN);
    let mut labels = labels(attributes);
    labels.retain(|(name, _)| &**name != SERVICE);
    labels.push((SERVICE.into(), service.into()));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_is_the_most_specific_name() {
        let check = |pairs: &[(&str, &str)], of_sample: Option<&str>, expected: &str| {
            let pairs = pairs.iter();
            let attributes = pairs.map(|(name, value)| ((*name).into(), (*value).into()));
            let labels = source(&attributes.collect(), of_sample);
            let service = labels.iter().find(|(name, _)| &**name == SERVICE);
            assert_eq!(service.map(|(_, value)| &**value), Some(expected));
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
