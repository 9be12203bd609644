//! `davy archive verify`: reads and compares everything.

use super::options::{ArchiveOptions, bar, failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_archive::inspect::Item;
use davy_profile::units;

pub(super) fn run(options: &ArchiveOptions) -> Result<(), Failure> {
    let items = with_archive(&options.flags, async |archive| {
        let bar = bar("verifying {wide_bar} {bytes}/{total_bytes}");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let items = archive.verify_with(&progress).await;
        bar.finish_and_clear();
        items.map_err(failed("cannot read the archive"))
    })?;
    let faulty: Vec<&Item> = items.iter().filter(|item| item.fault.is_some()).collect();
    if options.json {
        print_json(&serde_json::json!({ "verified": items.len(), "faults": faulty }))?;
    } else {
        let mut text = String::new();
        for item in &faulty {
            let (tenant, kind, period) = (&item.tenant, item.kind, &item.period);
            let fault = item.fault.as_deref().unwrap_or_default();
            text.push_str(&format!(
                "{tenant} {kind} {period} {}: {fault}\n",
                item.name
            ));
        }
        let bytes = items.iter().map(|item| item.bytes).sum::<u64>();
        let pieces = units::count(items.len(), "segment or block", "segments and blocks");
        let size = units::bytes(bytes as f64);
        print(&format!("{text}verified {pieces}, {size}\n"))?;
    }
    if faulty.is_empty() {
        return Ok(());
    }
    let faults = units::count(
        faulty.len(),
        "segment or block is",
        "segments and blocks are",
    );
    Err(Failure::failed(format!("{faults} faulty")))
}
