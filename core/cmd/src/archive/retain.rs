//! `davy archive retain`: deletes what is older than its retention.

use super::{ArchiveOptions, failed, print_json};
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

/// One line for each tenant, kind and reason.
fn table(all: &[Retained], dry_run: bool) -> String {
    let mut lines: BTreeMap<(&str, &str, &str), (usize, u64, &str, &str)> = BTreeMap::new();
    for of in all {
        let key = (of.tenant.as_str(), of.kind, of.reason);
        let line = lines.entry(key).or_insert((0, 0, &of.period, &of.period));
        line.0 += 1;
        line.1 += of.bytes;
        line.2 = line.2.min(&of.period);
        line.3 = line.3.max(&of.period);
    }
    let mut text = String::new();
    for ((tenant, kind, reason), (count, bytes, first, last)) in lines {
        let size = units::bytes(bytes as f64);
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
