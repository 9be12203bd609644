//! `davy archive retain`: deletes what is older than its retention.

use super::options::ArchiveOptions;
use super::output::{failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_archive::compact::{Outcome, Retained};
use davy_profile::units;
use std::collections::BTreeMap;

pub(super) fn run(dry_run: bool, options: &ArchiveOptions) -> Result<(), Failure> {
    let all = with_archive(&options.flags, async |archive| {
        let done = archive.compactor().retain(dry_run).await;
        done.map_err(failed("cannot list the archive"))
    })?;
    if options.json {
        print_json(&all)?;
    } else {
        print(&table(&all, dry_run))?;
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

/// What is deleted or kept for the same reason.
struct Line<'a> {
    count: usize,
    bytes: u64,
    series: usize,
    first: &'a str,
    last: &'a str,
}

/// One line for each tenant, kind and reason.
fn table(all: &[Retained], dry_run: bool) -> String {
    let mut lines: BTreeMap<(&str, &str, &str, &str), Line<'_>> = BTreeMap::new();
    for of in all {
        let key = (of.tenant.as_str(), of.kind, of.reason, of.rule.as_str());
        let line = lines.entry(key).or_insert(Line {
            count: 0,
            bytes: 0,
            series: 0,
            first: &of.period,
            last: &of.period,
        });
        line.count += 1;
        line.bytes += of.bytes;
        line.series += of.series;
        line.first = line.first.min(&of.period);
        line.last = line.last.max(&of.period);
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
    let bytes = gone.iter().map(|of| of.bytes).sum::<u64>();
    let verb = if dry_run { "would delete" } else { "deleted" };
    let (count, size) = (gone.len(), units::bytes(bytes as f64));
    text.push_str(&format!(
        "{verb} {} with {size}\n",
        units::count(count, "item", "items")
    ));
    text
}
