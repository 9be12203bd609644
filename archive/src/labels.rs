//! Label sets of series, and what they may hold.

use serde_json::{Map, Value};

/// The label that says which service a series is of.
pub const SERVICE: &str = "service_name";
/// The label that holds the name of a profile (`process_cpu`).
pub const NAME: &str = "__name__";

/// Bytes of a label's name, at most.
pub const NAME_BYTES: usize = 1_024;
/// Bytes of a label's value, at most.
pub const VALUE_BYTES: usize = 2_048;
/// Labels of one series, at most.
pub const COUNT: usize = 64;

/// Names and values, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(String, String)>);

/// Why labels are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the variants are")]
pub enum Fault {
    #[error("a label has an empty name")]
    NoName,
    #[error("the label name {0}… is {1} bytes long, the limit is {NAME_BYTES}")]
    NameTooLong(String, usize),
    #[error("the value of the label {0} is {1} bytes long, the limit is {VALUE_BYTES}")]
    ValueTooLong(String, usize),
    #[error("the label name {0:?} holds {1}; use letters, digits, `_`, `-` and single dots")]
    NameLetter(String, &'static str),
    #[error("the value {1:?} of the label {0} holds {2}")]
    ValueLetter(String, String, &'static str),
    #[error("the series has {0} labels, the limit is {COUNT}")]
    TooMany(usize),
    #[error("the label {0} is there twice with two values")]
    Twice(String),
    #[error("the label {SERVICE} is missing or empty: every series needs one")]
    NoService,
}

/// The beginning of a text, for messages about texts that are too long.
fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Whether one label may be stored.
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

/// What selectors could not say, or what looks like a way out of a folder.
fn wrong_in_name(name: &str) -> Option<&'static str> {
    let letter = |c: char| c.is_control() || "/\\\"'{}=,~!".contains(c);
    if name.contains('\0') {
        Some("a NUL")
    } else if name.contains("..") {
        Some("two dots")
    } else if name.contains('/') {
        Some("a slash")
    } else if name.contains(letter) {
        Some("a letter that is not for names")
    } else {
        None
    }
}

/// A slash is a part of many good values (`/api/v1/users`), a step upwards of none.
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

impl Labels {
    /// Checks the labels of a push. Labels with an empty value count as absent.
    pub fn checked(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Fault> {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            check(&name, &value)?;
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

    /// From pairs that are known to be good; the last value of a name wins.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            pairs
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>()
                .into_iter()
                .collect(),
        )
    }

    /// The value of a label; absent labels are empty.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .binary_search_by(|(have, _)| have.as_str().cmp(name))
            .map_or("", |at| &self.0[at].1)
    }

    /// The service.
    pub fn service(&self) -> &str {
        self.get(SERVICE)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels and `other`'s, which win where both have one.
    pub fn overlaid(&self, other: &Self) -> Self {
        Self::from_pairs(self.0.iter().chain(&other.0).cloned())
    }

    /// The canonical text: a JSON object, sorted by name.
    pub fn to_json(&self) -> String {
        Value::Object(
            self.iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect::<Map<_, _>>(),
        )
        .to_string()
    }

    /// Reads the canonical text.
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
    fn labels_survive_a_round_trip_in_one_order() {
        let labels =
            Labels::checked([pair("b", "2\"ä"), pair("a", "/api/x"), pair("c", "")]).expect("good");
        assert_eq!(labels.to_json(), "{\"a\":\"/api/x\",\"b\":\"2\\\"ä\"}");
        assert_eq!(Labels::from_json(&labels.to_json()), Some(labels.clone()));
        assert_eq!((labels.get("a"), labels.get("zz")), ("/api/x", ""));
    }

    #[test]
    fn labels_beyond_the_bounds_are_refused_by_name() {
        let check = |pairs: Vec<(String, String)>, expected: &str| {
            let fault = Labels::checked(pairs).expect_err("too much").to_string();
            assert!(fault.contains(expected), "{fault}");
        };
        check(vec![pair("", "x")], "empty name");
        check(vec![(("n".repeat(1 << 20)), "x".into())], "1048576 bytes");
        check(vec![pair("n", &"v".repeat(3_000))], "label n is 3000 bytes");
        check(vec![pair("n", "1"), pair("n", "2")], "twice");
        check(vec![pair("a\0b", "1")], "a NUL");
        check(vec![pair("a/b", "1")], "a slash");
        check(vec![pair("..", "1")], "two dots");
        check(vec![pair("n", "../x")], "the path segment `..`");
        check(vec![pair("n", "a\nb")], "a control character");
        check(
            (0..65).map(|i| pair(&format!("n{i}"), "1")).collect(),
            "65 labels",
        );
    }
}
