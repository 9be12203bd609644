//! A recording rule, and the file that has them.

use crate::key::Tenant;
use crate::labels::check;
use crate::selector::Selector;
use crate::types::TypeFilter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of rules of a tenant.
pub(crate) const RULES: usize = 100;
/// Maximum number of labels to group by.
const BY: usize = 8;
/// Maximum length of an id, a name and a function, in bytes.
const BYTES: usize = 512;
/// Beginnings of names that Davy's own metrics and those of every process have.
const RESERVED: [&str; 3] = ["davy_", "process_", "__"];

/// A rule is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(pub String);

/// What becomes a counter: the total of a profile type, or of its stacks through a function, by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingRule {
    /// Identifies it within its tenant. In a file, the name of the metric without it.
    #[serde(default)]
    pub id: String,
    /// The name of the counter.
    #[serde(rename = "metric")]
    pub metric_name: String,
    /// A type id or a short name, such as `cpu`.
    #[serde(rename = "type")]
    pub profile_type: String,
    /// Selects series.
    #[serde(default)]
    pub selector: String,
    /// The labels of the counter.
    #[serde(default, rename = "by")]
    pub group_by: Vec<String>,
    /// Labels that every counter of the rule has besides.
    #[serde(default, rename = "labels")]
    pub external_labels: BTreeMap<String, String>,
    /// Only stacks with this function, if it is not empty.
    #[serde(default)]
    pub function: String,
    /// The tenant whose profiles are read; the anonymous one without it.
    #[serde(default)]
    pub tenant: String,
    /// Incremented by each change.
    #[serde(default)]
    pub generation: i64,
}

/// A file of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFile {
    /// The rules.
    pub rules: Vec<RecordingRule>,
}

impl RulesFile {
    /// Checks the rules of a file, and gives each an id.
    ///
    /// # Errors
    ///
    /// If a rule is invalid or there are two with the same id.
    pub fn checked(mut self) -> Result<Vec<RecordingRule>, RuleError> {
        let mut ids = std::collections::BTreeSet::new();
        for rule in &mut self.rules {
            if rule.id.is_empty() {
                rule.id.clone_from(&rule.metric_name);
            }
            rule.check()?;
            if !ids.insert((rule.tenant.clone(), rule.id.clone())) {
                return Err(RuleError(format!(
                    "duplicate rule {:?}; set `id` of one of them",
                    rule.id
                )));
            }
        }
        if self.rules.len() > RULES {
            return Err(RuleError(format!(
                "{} rules, the limit is {RULES}",
                self.rules.len()
            )));
        }
        Ok(self.rules)
    }
}

impl RecordingRule {
    /// Checks all fields.
    ///
    /// # Errors
    ///
    /// If a field is invalid; the message names the rule and the field.
    pub fn check(&self) -> Result<(), RuleError> {
        let wrong = |what: String| Err(RuleError(format!("invalid rule {:?}: {what}", self.id)));
        let texts = [&self.id, &self.metric_name, &self.function, &self.tenant];
        if let Some(long) = texts.iter().find(|text| text.len() > BYTES) {
            let start: String = long.chars().take(40).collect();
            return wrong(format!(
                "{start:?}... is longer than {BYTES} bytes, the limit"
            ));
        }
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.id.is_empty() || !self.id.bytes().all(is_id) {
            return wrong("expected an id of letters, digits, `-`, `_`, `.` and `:`".to_owned());
        }
        let name = &self.metric_name;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
        if name.is_empty() || !name.bytes().all(is_name) || name.as_bytes()[0].is_ascii_digit() {
            return wrong(format!(
                "metric {name:?} is not a name of Prometheus: letters, digits, `_` and `:`"
            ));
        }
        if let Some(reserved) = RESERVED.iter().find(|of| name.starts_with(**of)) {
            return wrong(format!(
                "metric {name:?} begins with {reserved:?}, which is reserved"
            ));
        }
        if TypeFilter::parse(&self.profile_type)
            .is_none_or(|of| matches!(of, TypeFilter::Family(_)))
        {
            return wrong(format!(
                "unknown type {:?}; expected one such as cpu, allocs or process_cpu:cpu:nanoseconds:cpu:nanoseconds",
                self.profile_type
            ));
        }
        if let Err(error) = Selector::parse(&self.selector) {
            return wrong(error);
        }
        if self.group_by.len() > BY {
            return wrong(format!(
                "{} labels in `by`, the limit is {BY}",
                self.group_by.len()
            ));
        }
        let is_label = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        for label in self.group_by.iter().chain(self.external_labels.keys()) {
            let is_reserved =
                ["process", "tenant", "le"].contains(&&**label) || label.starts_with("__");
            if label.is_empty()
                || !is_label(label)
                || label.as_bytes()[0].is_ascii_digit()
                || is_reserved
            {
                return wrong(format!(
                    "{label:?} cannot be a label of a counter: expected letters, digits and `_`, and none of process, tenant and le"
                ));
            }
        }
        for (label, value) in &self.external_labels {
            if let Err(fault) = check(label, value) {
                return wrong(fault.to_string());
            }
            if self.group_by.contains(label) {
                return wrong(format!("label {label:?} is in `by` and in `labels`"));
            }
        }
        if !self.tenant.is_empty() && Tenant::new(&self.tenant).is_none() {
            return wrong(format!("invalid tenant {:?}", self.tenant));
        }
        Ok(())
    }

    /// The help text of its counter.
    pub(crate) fn help(&self) -> String {
        let of = if self.function.is_empty() {
            String::new()
        } else {
            format!(" of stacks with {}", self.function)
        };
        let Self {
            profile_type, id, ..
        } = self;
        format!("Total of {profile_type}{of}, by the recording rule {id}.")
    }

    /// Whose profiles it reads.
    pub(crate) fn tenant(&self) -> Tenant {
        Tenant::new(&self.tenant).unwrap_or_else(Tenant::anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> RecordingRule {
        RecordingRule {
            id: "a".to_owned(),
            metric_name: "checkout_json_cpu_nanoseconds_total".to_owned(),
            profile_type: "cpu".to_owned(),
            selector: r#"{service_name="checkout"}"#.to_owned(),
            group_by: vec!["region".to_owned()],
            ..RecordingRule::default()
        }
    }

    #[test]
    fn invalid_rules_are_refused_with_the_reason() {
        assert_eq!(rule().check(), Ok(()));
        let check = |change: fn(&mut RecordingRule), expected: &str| {
            let mut rule = rule();
            change(&mut rule);
            let error = rule.check().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|rule| rule.id = "a/b".to_owned(), "expected an id");
        check(
            |rule| rule.metric_name = "a-b".to_owned(),
            "not a name of Prometheus",
        );
        check(|rule| rule.metric_name = "davy_x".to_owned(), "reserved");
        check(|rule| rule.profile_type = "nope".to_owned(), "unknown type");
        check(
            |rule| rule.selector = "{a=".to_owned(),
            "expected a quoted value",
        );
        check(
            |rule| rule.group_by = vec!["process".to_owned()],
            "cannot be a label",
        );
        check(
            |rule| rule.group_by = vec!["a".to_owned(); 9],
            "the limit is 8",
        );
        check(|rule| rule.tenant = "x".repeat(200), "invalid tenant");
        let file = RulesFile {
            rules: vec![rule(), rule()],
        };
        assert!(file.checked().is_err());
    }
}
