//! `davy archive rewrite`: brings blocks of earlier versions to the current version of the format.

use super::options::ArchiveOptions;
use super::output::{bar, failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_profile::units;

pub(super) fn run(dry_run: bool, options: &ArchiveOptions) -> Result<(), Failure> {
    let all = with_archive(&options.flags, async |archive| {
        let bar = bar("rewriting {wide_bar} {bytes}/{total_bytes}");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let rewritten = archive.compactor().rewrite(dry_run, &progress).await;
        bar.finish_and_clear();
        rewritten.map_err(failed("cannot rewrite the archive"))
    })?;
    let failures: Vec<&String> = all.iter().filter_map(|of| of.error.as_ref()).collect();
    if options.json {
        print_json(&all)?;
    } else {
        let count = all.len() - failures.len();
        let blocks = units::count(count, "block", "blocks");
        let size = units::bytes(all.iter().map(|of| of.bytes).sum::<u64>() as f64);
        let verb = if dry_run { "would rewrite" } else { "rewrote" };
        print(&format!("{verb} {blocks}, {size}\n"))?;
    }
    match failures.first() {
        None => Ok(()),
        Some(first) => {
            let failures = units::count(failures.len(), "failure", "failures");
            Err(Failure::failed(format!("{failures}; the first: {first}")))
        }
    }
}
