//! What a drill found.

use crate::cli::{Failure, print as out};
use serde::Serialize;

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) what: &'static str,
    /// What was found.
    pub(super) found: String,
    /// What it must be.
    pub(super) must: String,
    pub(super) holds: bool,
}

pub(super) fn print(lines: &[Line], json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(lines)
            .map_err(|error| Failure::Failed(format!("the table can't be written: {error}")))?;
        return out(&format!("{text}\n"));
    }
    let mut table = format!(
        "{:<46} {:<44} {:<22} {}\n",
        "WHAT", "FOUND", "MUST", "HOLDS"
    );
    for line in lines {
        let holds = if line.holds { "yes" } else { "NO" };
        table.push_str(&format!(
            "{:<46} {:<44} {:<22} {holds}\n",
            line.what, line.found, line.must
        ));
    }
    out(&table)
}
