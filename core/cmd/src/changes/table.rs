//! Changes as a table.

use davy_profile::names::visible;
use davy_profile::units;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Measure {
    Cpu,
    Heap,
    Allocations,
    Requests,
    Errors,
    P99,
}

impl Measure {
    /// The name in responses.
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Heap => "heap",
            Self::Allocations => "allocations",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::P99 => "p99",
        }
    }
}

/// The response of the server.
#[derive(Deserialize)]
pub(super) struct Answer {
    by: Vec<String>,
    against: Option<String>,
    ranges: Vec<Range>,
    measures: Vec<Measured>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Range {
    windows: u64,
    partial: Vec<String>,
}

#[derive(Deserialize)]
struct Measured {
    name: String,
    unit: String,
}

#[derive(Deserialize)]
struct Change {
    labels: BTreeMap<String, String>,
    measure: String,
    kind: String,
    now: f64,
    before: BTreeMap<String, f64>,
}

impl Answer {
    /// Whether no range has profiles.
    pub(super) fn has_no_samples(&self) -> bool {
        self.ranges.iter().all(|range| range.windows == 0)
    }

    /// What the ranges lack, each once.
    pub(super) fn partial(&self) -> BTreeSet<&str> {
        let all = self.ranges.iter().flat_map(|range| &range.partial);
        all.map(String::as_str).collect()
    }
}

/// The changes, the largest first; those of one measure if it is named.
pub(super) fn table(answer: &Answer, measure: Option<Measure>, all: bool, limit: usize) -> String {
    let against = answer.against.as_deref();
    let mut text = match against {
        Some("day") => "now, against the same time a day ago\n",
        Some("week") => "now, against the same time a week ago\n",
        Some(_) => "now, against the same time an hour ago\n",
        None => "now; no earlier range has profiles\n",
    }
    .to_owned();
    let is_wanted = |change: &&Change| measure.is_none_or(|of| of.name() == change.measure);
    let wanted: Vec<&Change> = answer.changes.iter().filter(is_wanted).collect();
    let shown: Vec<&Change> = wanted
        .iter()
        .copied()
        .filter(|change| all || change.kind != "same")
        .collect();
    text.push_str(&format!(
        "{:<8} {:<11} {:>11} {:>11} {:>11}  {}\n",
        "KIND",
        "MEASURE",
        "BEFORE",
        "NOW",
        "CHANGE",
        answer.by.join(", ").to_uppercase()
    ));
    for change in shown.iter().take(limit) {
        let unit = answer.measures.iter().find(|of| of.name == change.measure);
        let unit = unit.map_or("", |of| of.unit.as_str());
        let before = against.and_then(|against| change.before.get(against));
        let sign = match before {
            Some(before) if change.now > *before => "+",
            Some(before) if change.now < *before => "-",
            _ => "",
        };
        let difference = before.map_or_else(String::new, |before| {
            format!("{sign}{}", value((change.now - before).abs(), unit))
        });
        text.push_str(&format!(
            "{:<8} {:<11} {:>11} {:>11} {difference:>11}  {}\n",
            change.kind,
            change.measure,
            before.map_or_else(|| "-".to_owned(), |before| value(*before, unit)),
            value(change.now, unit),
            group(&answer.by, &change.labels)
        ));
    }
    if shown.len() > limit {
        let more = units::count(shown.len() - limit, "smaller change", "smaller changes");
        text.push_str(&format!("{more} not shown; pass --limit to show more\n"));
    }
    let same = wanted.len() - shown.len();
    if same > 0 {
        let values = units::count(same, "value", "values");
        text.push_str(&format!(
            "{values} did not change; pass --all to show them\n"
        ));
    }
    text
}

/// A value in a unit of the response.
fn value(value: f64, unit: &str) -> String {
    match unit {
        "cores" => format!("{:.1}%", value * 100.0),
        "bytes" => units::bytes(value),
        "bytes/s" => format!("{}/s", units::bytes(value)),
        "seconds" => units::seconds(value),
        "1/s" if value > 0.0 && value < 10.0 => format!("{value:.2}/s"),
        "1/s" => format!("{value:.1}/s"),
        _ => format!("{value}"),
    }
}

/// The values of the labels in their order.
fn group(by: &[String], labels: &BTreeMap<String, String>) -> String {
    let values = by.iter().map(|name| {
        let value = labels.get(name).map_or("", String::as_str);
        if value.is_empty() {
            "(untagged)".to_owned()
        } else {
            visible(value).chars().take(100).collect()
        }
    });
    values.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(against: &str) -> Answer {
        let change = |member: &str, measure: &str, kind: &str, now: f64, before: f64| {
            serde_json::json!({
                "labels": {"service_name": "shop", "member": member},
                "measure": measure,
                "kind": kind,
                "now": now,
                "before": {"hour": before},
            })
        };
        let unit = |name: &str, unit: &str| serde_json::json!({"name": name, "unit": unit});
        let json = serde_json::json!({
            "by": ["service_name", "member"],
            "against": against,
            "ranges": [{"windows": 4, "partial": ["a block is damaged"]}, {"windows": 4, "partial": ["a block is damaged"]}],
            "measures": [unit("cpu", "cores"), unit("heap", "bytes"), unit("p99", "seconds"), unit("requests", "1/s")],
            "changes": [
                change("gc", "cpu", "new", 0.6, 0.0),
                change("api", "heap", "shrank", 104_857_600.0, 314_572_800.0),
                change("api", "p99", "grew", 2.0, 0.02),
                change("", "requests", "grew", 40.0, 5.0),
                change("api", "requests", "same", 10.0, 10.0),
            ],
        });
        serde_json::from_value(json).expect("valid")
    }

    #[test]
    fn changes_are_listed_in_the_order_of_the_server() {
        insta::assert_snapshot!(table(&answer("hour"), None, false, 3), @"
        now, against the same time an hour ago
        KIND     MEASURE          BEFORE         NOW      CHANGE  SERVICE_NAME, MEMBER
        new      cpu                0.0%       60.0%      +60.0%  shop, gc
        shrank   heap            300 MiB     100 MiB    -200 MiB  shop, api
        grew     p99             20.0 ms      2.00 s     +1.98 s  shop, api
        1 smaller change not shown; pass --limit to show more
        1 value did not change; pass --all to show them
        ");
        insta::assert_snapshot!(table(&answer("hour"), Some(Measure::Requests), true, 9), @"
        now, against the same time an hour ago
        KIND     MEASURE          BEFORE         NOW      CHANGE  SERVICE_NAME, MEMBER
        grew     requests         5.00/s      40.0/s     +35.0/s  shop, (untagged)
        same     requests         10.0/s      10.0/s       0.0/s  shop, api
        ");
    }

    #[test]
    fn without_an_earlier_range_values_have_no_change() {
        let mut of = answer("hour");
        of.against = None;
        insta::assert_snapshot!(table(&of, Some(Measure::Cpu), false, 9), @"
        now; no earlier range has profiles
        KIND     MEASURE          BEFORE         NOW      CHANGE  SERVICE_NAME, MEMBER
        new      cpu                   -       60.0%              shop, gc
        ");
    }

    #[test]
    fn what_ranges_lack_is_said_once() {
        let of = answer("hour");
        assert_eq!(
            of.partial().into_iter().collect::<Vec<_>>(),
            ["a block is damaged"]
        );
        assert!(!of.has_no_samples());
    }
}
