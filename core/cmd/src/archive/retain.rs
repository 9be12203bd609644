//! `davy archive retain`: deletes what is older than its retention.

use super::options::ArchiveOptions;
use super::output::{failed, print_json};
use crate::failure::Failure;
use crate::process::with_renderer;
use crate::stdout::print;
use davy_archive::compact::{Outcome, Retained};
use davy_profile::units;
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) fn run(dry_run: bool, options: &ArchiveOptions) -> Result<(), Failure> {
    let (all, rendered) = with_renderer(&options.flags, async |archive, renderer| {
        let done = archive.compactor().retain(dry_run).await;
        let all = done.map_err(failed("cannot list the archive"))?;
        let rendered = renderer.retain(dry_run).await;
        let failed = Failure::because("cannot delete rendered flame graphs");
        Ok((all, rendered.map_err(failed)?))
    })?;
    if options.json {
        print_json(&rows(&all, &rendered, dry_run))?;
    } else {
        print(&table(&all, &rendered, dry_run))?;
    }
    let failures: Vec<&String> = all
        .iter()
        .filter_map(|of| match &of.outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        })
        .collect();
    match failures.first() {
        None => Ok(()),
        Some(first) => {
            let failures = units::count(failures.len(), "deletion", "deletions");
            Err(Failure::failed(format!(
                "{failures} failed; the first: {first}"
            )))
        }
    }
}

/// A row of the JSON: a block or segment, or a rendered object, which has the same fields.
#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Stored(&'a Retained),
    Rendered {
        #[serde(flatten)]
        of: &'a davy_render::Retained,
        rule: &'a str,
        series: usize,
        outcome: Outcome,
    },
}

fn rows<'a>(
    all: &'a [Retained],
    rendered: &'a [davy_render::Retained],
    dry_run: bool,
) -> Vec<Row<'a>> {
    let rendered = rendered.iter().map(|of| Row::Rendered {
        of,
        rule: "",
        series: 0,
        outcome: if dry_run {
            Outcome::Due
        } else {
            Outcome::Deleted
        },
    });
    all.iter().map(Row::Stored).chain(rendered).collect()
}

/// What is deleted or kept for the same reason.
#[derive(Default)]
struct Line<'a> {
    count: usize,
    bytes: u64,
    series: usize,
    first: &'a str,
    last: &'a str,
}

impl<'a> Line<'a> {
    fn add(&mut self, (bytes, series, period): (u64, usize, &'a str)) {
        self.count += 1;
        self.bytes += bytes;
        self.series += series;
        self.last = self.last.max(period);
        self.first = if self.count == 1 {
            period
        } else {
            self.first.min(period)
        };
    }
}

/// One line for each tenant, kind and reason.
fn table(all: &[Retained], rendered: &[davy_render::Retained], dry_run: bool) -> String {
    let mut lines: BTreeMap<(&str, &str, &str, &str), Line<'_>> = BTreeMap::new();
    for of in all {
        let key = (of.tenant.as_str(), of.kind, of.reason, of.rule.as_str());
        let line = lines.entry(key).or_default();
        line.add((of.bytes, of.series, &of.period));
    }
    for of in rendered {
        let kind = match of.kind {
            "log" => "folded log",
            "page" => "page of flame graphs",
            _ => "flame graph",
        };
        let line = lines.entry((&of.tenant, kind, of.reason, "")).or_default();
        line.add((of.bytes, 0, &of.period));
    }
    let mut text = String::new();
    for ((tenant, kind, reason, rule), line) in lines {
        let Line {
            count, first, last, ..
        } = line;
        let size = units::bytes(line.bytes as f64);
        if !rule.is_empty() {
            let series = units::count(line.series, "series", "series");
            let blocks = units::count(count, "block", "blocks");
            text.push_str(&format!(
                "{tenant}  {series} of {blocks}, about {size}, {first} to {last}: {reason}: {rule}\n"
            ));
            continue;
        }
        text.push_str(&format!(
            "{tenant}  {count} x {kind}, {size}, {first} to {last}: {reason}\n"
        ));
    }
    let is_gone = |of: &&Retained| matches!(of.outcome, Outcome::Deleted | Outcome::Due);
    let gone: Vec<&Retained> = all.iter().filter(is_gone).collect();
    let bytes = gone
        .iter()
        .map(|of| of.bytes)
        .chain(rendered.iter().map(|of| of.bytes));
    let size = units::bytes(bytes.sum::<u64>() as f64);
    let verb = if dry_run { "would delete" } else { "deleted" };
    let count = gone.len() + rendered.len();
    text.push_str(&format!(
        "{verb} {} with {size}\n",
        units::count(count, "item", "items")
    ));
    text
}
