//! What a check found.

use serde::Serialize;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// Davy works, but less well than it could.
    Warning,
    /// Davy does not work, or soon will not.
    Failed,
    /// There is nothing to check.
    Skipped,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    outcome: Outcome,
    detail: String,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            detail: detail.into(),
            advice: None,
        }
    }

    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Ok, detail)
    }

    pub(super) fn warning(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Warning, detail)
    }

    pub(super) fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, detail)
    }

    pub(super) fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, detail)
    }

    /// Says what to change.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

/// The findings of all checks.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|of| of.outcome == outcome).count()
    }

    /// A line for each finding, and below it what to change.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let outcome = match finding.outcome {
                Outcome::Ok => "ok",
                Outcome::Warning => "WARNING",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            let (check, detail) = (finding.check, &finding.detail);
            text.push_str(&format!("{outcome:<8} {check:<14} {detail}\n"));
            if let Some(advice) = &finding.advice {
                text.push_str(&format!("{:>23} -> {advice}\n", ""));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_say_what_failed_and_what_to_change() {
        let mut findings = Findings::default();
        findings.add(Finding::ok("disk", "40.0 GiB free in .davy"));
        findings.add(Finding::failed("bucket", "cannot put the object").advise("check the key"));
        assert_eq!(findings.count(Outcome::Failed), 1);
        insta::assert_snapshot!(findings.text(), @"
        ok       disk           40.0 GiB free in .davy
        FAILED   bucket         cannot put the object
                                -> check the key
        ");
        let json = serde_json::to_string(findings.all()).expect("JSON");
        assert!(
            json.contains(r#"{"check":"disk","outcome":"ok","detail":"40.0 GiB free in .davy"}"#),
            "{json}"
        );
    }
}
