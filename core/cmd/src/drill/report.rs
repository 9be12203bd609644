//! Progress and results of a drill.

use crate::failure::Failure;
use crate::stderr;
use crate::stdout::print;
use serde::Serialize;

/// Prints what the drill does now on standard error.
pub(super) fn progress(step: &str) {
    stderr::print_line(format_args!("davy drill: {step}"));
}

/// A measurement and the value that it must meet.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) measured: String,
    pub(super) required: String,
    pub(super) passed: bool,
}

/// A check with what it must meet; without one it only informs.
pub(super) fn check(name: &'static str, measured: String, required: &str, passed: bool) -> Check {
    Check {
        name,
        measured,
        required: required.to_owned(),
        passed,
    }
}

/// Prints the checks as a table or as JSON.
pub(super) fn print_checks(checks: &[Check], json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(checks)
            .map_err(Failure::because("cannot serialize the checks"))?;
        return print(&format!("{text}\n"));
    }
    let rows = checks.iter().map(|check| {
        let result = if check.passed { "pass" } else { "FAIL" };
        [check.name, &check.measured, &check.required, result]
    });
    let head = ["CHECK", "MEASURED", "REQUIRED", "RESULT"];
    let rows: Vec<[&str; 4]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [first, second, third] = [0, 1, 2].map(|column| width(column).unwrap_or(0));
    let mut table = String::new();
    for [check, measured, required, result] in rows {
        table.push_str(&format!(
            "{check:<first$}  {measured:<second$}  {required:<third$}  {result}\n"
        ));
    }
    print(&table)
}
