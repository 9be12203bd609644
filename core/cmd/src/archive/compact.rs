//! `davy archive compact`: merges until nothing is left to merge.

use super::options::ArchiveOptions;
use super::output::{bar, failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_profile::units;

/// Maximum number of rounds: a merge makes work for the next level, and other archivers may write meanwhile.
const ROUNDS: usize = 100;

pub(super) fn run(options: &ArchiveOptions) -> Result<(), Failure> {
    let (merged, deleted, failures, cost) = with_archive(&options.flags, async |archive| {
        let bar = bar("compacting {spinner} {pos} blocks written");
        let (mut merged, mut deleted, mut failures) = (0, 0, Vec::new());
        let mut cost = [0; 3];
        for _ in 0..ROUNDS {
            let done = archive.compactor().once().await;
            let done = done.map_err(failed("cannot compact the archive"))?;
            merged += done.merged;
            deleted += done.deleted;
            let of_round = [done.requests, done.read_bytes, done.written_bytes];
            for (sum, part) in cost.iter_mut().zip(of_round) {
                *sum += part;
            }
            bar.set_position(merged as u64);
            failures = done.failed;
            if done.merged == 0 {
                break;
            }
        }
        bar.finish_and_clear();
        Ok((merged, deleted, failures, cost))
    })?;
    let [requests, read, written] = cost;
    if options.json {
        print_json(&serde_json::json!({
            "merged": merged,
            "deleted": deleted,
            "failed": failures,
            "requests": requests,
            "read_bytes": read,
            "written_bytes": written,
        }))?;
    } else {
        let blocks = units::count(merged, "block", "blocks");
        let pieces = units::count(deleted, "segment or block", "segments and blocks");
        print(&format!(
            "wrote {blocks}, deleted {pieces}; {}, {} read, {} written\n",
            units::count(requests as usize, "request", "requests"),
            units::bytes(read as f64),
            units::bytes(written as f64),
        ))?;
    }
    match failures.first() {
        None => Ok(()),
        Some(first) => {
            let failures = units::count(failures.len(), "failure", "failures");
            Err(Failure::failed(format!("{failures}; the first: {first}")))
        }
    }
}
