//! Label sets of series, and their limits.

use davy_profile::truncate;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The label that names the service.
pub const SERVICE: &str = "service_name";
/// The label that names the profile, such as `process_cpu`.
pub const NAME: &str = "__name__";
/// The label by which samples can be grouped although nobody pushed it: the build id of their program.
pub const BUILD_ID: &str = "build_id";

/// The labels with the id of the span that a sample belongs to: that of OpenTelemetry, and that of agents of Pyroscope.
pub const SPANS: [&str; 2] = ["span_id", "profile_id"];
/// The label with the id of the trace that a sample belongs to.
pub const TRACES: [&str; 1] = ["trace_id"];
/// The label with the time of a sample, in nanoseconds since the Unix epoch: a number. Datadog's profilers use it.
pub const TIME: &str = "end_timestamp_ns";

/// Maximum length of a label name, in bytes.
pub const NAME_BYTES: usize = 1_024;
/// Maximum length of a label value, in bytes.
pub const VALUE_BYTES: usize = 2_048;
/// Maximum number of labels of a series.
pub const COUNT: usize = 64;

/// Label names and values, sorted by name. Names are distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(String, String)>);

/// Why labels are rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Fault {
    #[error("invalid label: the name is empty")]
    NoName,
    #[error("invalid label name {0:?}...: {1} bytes long, the limit is {NAME_BYTES}")]
    NameTooLong(String, usize),
    #[error("invalid value of label {0}: {1} bytes long, the limit is {VALUE_BYTES}")]
    ValueTooLong(String, usize),
    #[error(
        "invalid label name {0:?}: contains {1}; use letters, digits, `_`, `-` and single dots"
    )]
    NameLetter(String, &'static str),
    #[error("invalid value {1:?} of label {0}: contains {2}")]
    ValueLetter(String, String, &'static str),
    #[error("the series has {0} labels, the limit is {COUNT}")]
    TooMany(usize),
    #[error("duplicate label {0} with different values")]
    Twice(String),
    #[error("missing label {SERVICE}: every series needs a value")]
    NoService,
}

/// The beginning of a text, for messages about long texts.
fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Checks one label. Names may contain spaces, because agents send sample labels such as
/// `thread id`; [`Labels::checked`] is stricter.
pub fn check(name: &str, value: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::NoName);
    }
    if name.len() > NAME_BYTES {
        return Err(Fault::NameTooLong(beginning(name), name.len()));
    }
    if value.len() > VALUE_BYTES {
        return Err(Fault::ValueTooLong(beginning(name), value.len()));
    }
    if let Some(what) = wrong_in_name(name) {
        return Err(Fault::NameLetter(beginning(name), what));
    }
    if let Some(what) = wrong_in_value(value) {
        return Err(Fault::ValueLetter(beginning(name), beginning(value), what));
    }
    Ok(())
}

/// What a name must not contain: characters that selectors cannot express, and those that could
/// lead out of a folder.
fn wrong_in_name(name: &str) -> Option<&'static str> {
    let letter = |c: char| c.is_control() || "/\\\"'{}=,~!".contains(c);
    if name.contains('\0') {
        Some("a NUL")
    } else if name.contains("..") {
        Some("two dots")
    } else if name.contains('/') {
        Some("a slash")
    } else if name.contains(letter) {
        Some("a character that is not allowed in names")
    } else {
        None
    }
}

/// Values may contain slashes (`/api/v1/users`), but not the path segment `..`.
fn wrong_in_value(value: &str) -> Option<&'static str> {
    if value.contains('\0') {
        Some("a NUL")
    } else if value.contains(char::is_control) {
        Some("a control character")
    } else if value.split(['/', '\\']).any(|step| step == "..") {
        Some("the path segment `..`")
    } else {
        None
    }
}

/// The name of a sample label as it is stored: characters that names must not contain are replaced by `_`,
/// and a name that is too long is truncated. `None` if it is empty.
pub(crate) fn repaired_name(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() {
        return None;
    }
    let name = truncate::name(name, NAME_BYTES);
    if wrong_in_name(&name).is_none() {
        return Some(name);
    }
    let letter = |c: char| c.is_control() || "/\\\"'{}=,~!".contains(c);
    Some(name.replace(letter, "_").replace("..", "__").into())
}

/// The value of a sample label as it is stored: control characters are escaped, and a value that is too long is
/// truncated. Values are never part of a key in the bucket, so nothing else needs to change.
pub(crate) fn repaired_value(value: &str) -> Cow<'_, str> {
    if !value.contains(char::is_control) {
        return truncate::name(value, VALUE_BYTES);
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for c in value.chars() {
        if c.is_control() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
        if escaped.len() > VALUE_BYTES {
            break;
        }
    }
    truncate::name(&escaped, VALUE_BYTES).into_owned().into()
}

impl Labels {
    /// The checked labels of a push. Labels with an empty value count as absent.
    pub fn checked(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Fault> {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            check(&name, &value)?;
            if name.contains(char::is_whitespace) {
                return Err(Fault::NameLetter(beginning(&name), "white space"));
            }
            if !value.is_empty() {
                labels.push((name, value));
            }
        }
        labels.sort();
        labels.dedup();
        if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Fault::Twice(twice[0].0.clone()));
        }
        if labels.len() > COUNT {
            return Err(Fault::TooMany(labels.len()));
        }
        Ok(Self(labels))
    }

    /// From pairs that were checked; the last value of a name wins.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            pairs
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>()
                .into_iter()
                .collect(),
        )
    }

    /// The value of a label; empty if the label is absent.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .binary_search_by(|(have, _)| have.as_str().cmp(name))
            .map_or("", |at| &self.0[at].1)
    }

    /// The value of [`SERVICE`].
    pub fn service(&self) -> &str {
        self.get(SERVICE)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels, overridden by those of `other`.
    pub fn overlaid(&self, other: &Self) -> Self {
        Self::from_pairs(self.0.iter().chain(&other.0).cloned())
    }

    /// The canonical text: a JSON object with sorted keys.
    pub fn to_json(&self) -> String {
        Value::Object(
            self.iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect::<Map<_, _>>(),
        )
        .to_string()
    }

    /// Parses the canonical text.
    pub fn from_json(text: &str) -> Option<Self> {
        let object: std::collections::BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        Some(Self(object.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn labels_survive_a_round_trip_in_sorted_order() {
        let labels =
            Labels::checked([pair("b", "2\"ä"), pair("a", "/api/x"), pair("c", "")]).expect("good");
        assert_eq!(labels.to_json(), "{\"a\":\"/api/x\",\"b\":\"2\\\"ä\"}");
        assert_eq!(Labels::from_json(&labels.to_json()), Some(labels.clone()));
        assert_eq!((labels.get("a"), labels.get("zz")), ("/api/x", ""));
    }

    #[test]
    fn sample_labels_are_repaired() {
        let name = |text: &str| repaired_name(text).map(Cow::into_owned);
        assert_eq!(name("thread id").as_deref(), Some("thread id"));
        assert_eq!(name("a/b..c\n").as_deref(), Some("a_b__c_"));
        assert_eq!(name(""), None);
        assert_eq!(
            name(&"n".repeat(5_000)).map(|name| name.len()),
            Some(NAME_BYTES)
        );
        assert_eq!(repaired_value("/static/../../etc"), "/static/../../etc");
        assert_eq!(repaired_value("SELECT 1\n\t\0"), "SELECT 1\\n\\t\\u{0}");
        for long in ["ä".repeat(4_000), "\n".repeat(4_000)] {
            let repaired = repaired_value(&long);
            assert!(
                repaired.len() <= VALUE_BYTES && repaired.ends_with('…'),
                "{repaired}"
            );
        }
    }

    #[test]
    fn invalid_labels_are_rejected_with_the_rule() {
        let check = |pairs: Vec<(String, String)>, expected: &str| {
            let fault = Labels::checked(pairs).expect_err("too much").to_string();
            assert!(fault.contains(expected), "{fault}");
        };
        check(vec![pair("", "x")], "the name is empty");
        check(vec![(("n".repeat(1 << 20)), "x".into())], "1048576 bytes");
        check(
            vec![pair("n", &"v".repeat(3_000))],
            "value of label n: 3000 bytes",
        );
        check(vec![pair("n", "1"), pair("n", "2")], "duplicate label n");
        check(vec![pair("a\0b", "1")], "a NUL");
        check(vec![pair("a/b", "1")], "a slash");
        check(
            vec![pair("ver sion", "1")],
            "white space; use letters, digits",
        );
        check(vec![pair("..", "1")], "two dots");
        check(vec![pair("n", "../x")], "the path segment `..`");
        check(vec![pair("n", "a\nb")], "a control character");
        check(
            (0..65).map(|i| pair(&format!("n{i}"), "1")).collect(),
            "65 labels",
        );
    }
}
