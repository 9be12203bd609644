//! Relabeling, as Prometheus does it: rules that change the labels of discovered targets, or drop them.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Maximum number of rules of a job.
pub(crate) const RULES: usize = 100;
/// Maximum size of a compiled regular expression, in bytes.
const REGEX_BYTES: usize = 256 << 10;

/// Labels by name. Names that begin with `__` are not stored.
pub(crate) type Labels = BTreeMap<String, String>;

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Sets the target label if the source matches.
    #[default]
    Replace,
    /// Drops targets whose source does not match.
    Keep,
    /// Drops targets whose source matches.
    Drop,
    /// Drops targets whose source is not the value of the target label.
    KeepEqual,
    /// Drops targets whose source is the value of the target label.
    DropEqual,
    /// Copies labels whose names match to the names that the replacement makes of them.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    LowerCase,
    /// Sets the target label to the source in upper case.
    UpperCase,
}

/// A rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relabel {
    #[serde(default)]
    source_labels: Vec<String>,
    #[serde(default = "separator")]
    separator: String,
    #[serde(default)]
    target_label: String,
    /// Must match the whole source.
    #[serde(default = "anything", deserialize_with = "anchored")]
    regex: Regex,
    #[serde(default = "first_group")]
    replacement: String,
    #[serde(default)]
    action: Action,
}

fn separator() -> String {
    ";".to_owned()
}

fn first_group() -> String {
    "$1".to_owned()
}

fn anything() -> Regex {
    compile("(.*)").expect("valid")
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // Parsed alone first, so that `)(` is an error.
    Regex::new(pattern)?;
    RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(REGEX_BYTES)
        .build()
}

fn anchored<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Regex, D::Error> {
    let pattern = String::deserialize(from)?;
    compile(&pattern).map_err(|error| {
        let error = error.to_string().replace('\n', " ");
        serde::de::Error::custom(format!("invalid regex {pattern:?}: {error}"))
    })
}

impl Relabel {
    /// Checks that the fields which the action needs are there.
    pub(crate) fn check(&self) -> Result<(), String> {
        let needs_target = matches!(
            self.action,
            Action::Replace
                | Action::KeepEqual
                | Action::DropEqual
                | Action::LowerCase
                | Action::UpperCase
        );
        if needs_target && self.target_label.is_empty() {
            let action = format!("{:?}", self.action).to_lowercase();
            return Err(format!("relabeling: action {action} needs target_label"));
        }
        Ok(())
    }

    fn source(&self, labels: &Labels) -> String {
        let values = self.source_labels.iter();
        let values = values.map(|name| labels.get(name).map_or("", String::as_str));
        values.collect::<Vec<_>>().join(&self.separator)
    }

    /// Changes the labels; false if the target is dropped.
    fn apply(&self, labels: &mut Labels) -> bool {
        let source = self.source(labels);
        let target = || labels.get(&self.target_label).map_or("", String::as_str);
        match self.action {
            Action::Keep => return self.regex.is_match(&source),
            Action::Drop => return !self.regex.is_match(&source),
            Action::KeepEqual => return source == target(),
            Action::DropEqual => return source != target(),
            Action::Replace => {
                if let Some(groups) = self.regex.captures(&source) {
                    let (mut name, mut value) = (String::new(), String::new());
                    groups.expand(&self.target_label, &mut name);
                    groups.expand(&self.replacement, &mut value);
                    set(labels, name, value);
                }
            }
            Action::LowerCase => set(labels, self.target_label.clone(), source.to_lowercase()),
            Action::UpperCase => set(labels, self.target_label.clone(), source.to_uppercase()),
            Action::LabelMap => {
                let mapped = labels.iter().filter_map(|(name, value)| {
                    let groups = self.regex.captures(name)?;
                    let mut new = String::new();
                    groups.expand(&self.replacement, &mut new);
                    Some((new, value.clone()))
                });
                let mapped: Vec<_> = mapped.collect();
                for (name, value) in mapped {
                    set(labels, name, value);
                }
            }
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }
}

/// Sets a label with a valid name. An empty value removes it.
fn set(labels: &mut Labels, name: String, value: String) {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let begins_well = !name.starts_with(|letter: char| letter.is_ascii_digit());
    if name.is_empty() || !name.chars().all(is_name) || !begins_well {
        return;
    }
    if value.is_empty() {
        labels.remove(&name);
    } else {
        labels.insert(name, value);
    }
}

/// The labels after all rules; `None` if one drops the target.
pub(crate) fn relabel(rules: &[Relabel], mut labels: Labels) -> Option<Labels> {
    rules
        .iter()
        .all(|rule| rule.apply(&mut labels))
        .then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of `a="foo", b="bar", __meta_pod="web-1"` after rules, as `name=value` pairs.
    fn check(rules: &str, expected: Option<&str>) {
        let rules: Vec<Relabel> = serde_saphyr::from_str(rules).expect(rules);
        for rule in &rules {
            rule.check().expect("valid");
        }
        let labels = [("a", "foo"), ("b", "bar"), ("__meta_pod", "web-1")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = relabel(&rules, labels.into());
        let found = found.map(|labels| {
            let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found.as_deref(), expected, "{rules:?}");
    }

    #[test]
    fn rules_have_the_results_that_prometheus_documents() {
        const ALL: &str = "__meta_pod=web-1 a=foo b=bar";
        for (rules, expected) in [
            // Replace: the whole source, parts of it, and none.
            (
                "[{source_labels: [a], target_label: d}]",
                Some("__meta_pod=web-1 a=foo b=bar d=foo"),
            ),
            (
                "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: d, replacement: 'ch${1}-ch${2}'}]",
                Some("__meta_pod=web-1 a=foo b=bar d=choo-chba"),
            ),
            (
                "[{source_labels: [a, b], separator: '/', target_label: a}]",
                Some("__meta_pod=web-1 a=foo/bar b=bar"),
            ),
            (
                "[{source_labels: [a], regex: 'o', target_label: d}]",
                Some(ALL),
            ),
            (
                "[{target_label: d, replacement: static}]",
                Some("__meta_pod=web-1 a=foo b=bar d=static"),
            ),
            // An empty value removes the label, an invalid name is ignored.
            (
                "[{source_labels: [none], target_label: a}]",
                Some("__meta_pod=web-1 b=bar"),
            ),
            ("[{source_labels: [a], target_label: 'x-${1}'}]", Some(ALL)),
            (
                "[{source_labels: [a], regex: '(f).*', target_label: 'of_${1}', replacement: x}]",
                Some("__meta_pod=web-1 a=foo b=bar of_f=x"),
            ),
            // Keep and drop: the expression matches the whole source.
            (
                "[{action: keep, source_labels: [a], regex: 'fo+'}]",
                Some(ALL),
            ),
            ("[{action: keep, source_labels: [a], regex: 'f'}]", None),
            ("[{action: keep, source_labels: [none], regex: '.+'}]", None),
            ("[{action: drop, source_labels: [a], regex: 'f.*'}]", None),
            (
                "[{action: drop, source_labels: [a], regex: 'o'}]",
                Some(ALL),
            ),
            (
                "[{action: keepequal, source_labels: [a], target_label: b}]",
                None,
            ),
            (
                "[{action: dropequal, source_labels: [a], target_label: a}]",
                None,
            ),
            // Rules apply in their order.
            (
                "[{source_labels: [a], target_label: b}, {action: keepequal, source_labels: [a], target_label: b}]",
                Some("__meta_pod=web-1 a=foo b=foo"),
            ),
            (
                "[{action: labelmap, regex: '__meta_(.*)'}]",
                Some("__meta_pod=web-1 a=foo b=bar pod=web-1"),
            ),
            (
                "[{action: labelmap, regex: '(a|b)', replacement: 'x_$1'}]",
                Some("__meta_pod=web-1 a=foo b=bar x_a=foo x_b=bar"),
            ),
            ("[{action: labeldrop, regex: '__.*|b'}]", Some("a=foo")),
            ("[{action: labelkeep, regex: 'b'}]", Some("b=bar")),
            (
                "[{action: uppercase, source_labels: [a], target_label: a}, {action: lowercase, source_labels: [a], target_label: b}]",
                Some("__meta_pod=web-1 a=FOO b=foo"),
            ),
        ] {
            check(rules, expected);
        }
    }

    #[test]
    fn invalid_rules_are_refused() {
        let fault = |rules: &str| -> String {
            match serde_saphyr::from_str::<Vec<Relabel>>(rules) {
                Err(error) => error.to_string(),
                Ok(rules) => rules[0].check().expect_err("refused"),
            }
        };
        for (rules, expected) in [
            ("[{action: hashmod}]", "hashmod"),
            ("[{action: keep, regex: '('}]", "invalid regex \"(\""),
            ("[{action: keep, regex: ')('}]", "invalid regex \")(\""),
            (
                "[{source_labels: [a]}]",
                "action replace needs target_label",
            ),
            ("[{source_label: [a]}]", "source_label"),
        ] {
            let fault = fault(rules);
            assert!(fault.contains(expected), "{rules}: {fault}");
        }
    }
}
