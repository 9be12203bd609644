//! Rewrites blocks of earlier versions of the format.
//!
//! Nothing is changed in place: the successor of a block has the same windows and a name that sorts before that of the
//! block, so readers prefer it (see `rule`), and compaction deletes the block after the grace period because the
//! successor covers it. The name follows from that of the block and the version of the writer. A rewrite that is
//! interrupted, or done twice, therefore writes the same successor again.

use super::compactor::{Compactor, read_error};
use super::quarantine::Skipped;
use crate::error::{Error, ErrorKind, Result};
use crate::format::VERSION;
use crate::format::block::id;
use crate::key::{BlockId, Hour, Tenant};
use crate::plan::Piece;
use crate::progress::Progress;
use crate::rule::{Listing, select};
use serde::Serialize;

/// A block of an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`.
    pub hour: String,
    /// Name of the block.
    pub block: String,
    /// Its version.
    pub version: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// The block that replaces it; None if it was not written.
    pub successor: Option<String>,
    /// Why the successor could not be written.
    pub error: Option<String>,
}

/// Names that are tried for a successor. Half of all names sort before an average one.
const NAMES: u32 = 1 << 24;

/// The inputs of a successor of a block, whose name sorts before that of the block. `numbered` returns what follows
/// the name of the block, with a number.
pub(super) fn inputs(
    writer: &str,
    block: &BlockId,
    skipped: &Skipped,
    numbered: impl Fn(u32) -> Vec<String>,
) -> Result<Vec<String>> {
    let rest: Vec<String> = skipped.inputs().collect();
    for number in 1..=NAMES {
        let mut inputs = vec![block.0.clone()];
        inputs.extend(numbered(number));
        inputs.extend(rest.iter().cloned());
        if id(writer, &inputs) < *block {
            return Ok(inputs);
        }
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("no name sorts before that of block {}", block.0),
    ))
}

/// What an upgrade adds to the name of the block.
fn upgrade(number: u32) -> Vec<String> {
    vec![format!("rewrite {number}")]
}

impl Compactor {
    /// Rewrites the blocks of earlier versions that readers use, or only lists them. Day and month blocks have
    /// had the current version from the beginning; segments are merged by compaction.
    pub async fn rewrite(
        &self,
        is_dry_run: bool,
        progress: Progress<'_>,
    ) -> Result<Vec<Rewritten>> {
        let mut all = Vec::new();
        for tenant in self.bucket.tenants().await? {
            let keys = &self.bucket.keys;
            let folders = [keys.segments(&tenant, None), keys.blocks(&tenant, None)];
            let (hours, faults) = self.bucket.listing(&tenant, &folders).await?;
            for fault in faults {
                tracing::warn!(fault, "unreadable block left out of the rewrite");
            }
            for (hour, listing) in hours {
                for at in select(&listing).blocks {
                    let block = &listing.blocks[at];
                    let meta = self.bucket.meta(&tenant, hour, &block.id).await;
                    let version = meta.map_err(read_error)?.version;
                    if version < VERSION {
                        let due = Rewritten {
                            tenant: tenant.key().to_owned(),
                            hour: hour.to_string(),
                            block: block.id.0.clone(),
                            version,
                            bytes: block.bytes,
                            successor: None,
                            error: None,
                        };
                        let id = block.id.clone();
                        all.push((due, tenant.clone(), hour, listing.clone(), id));
                    }
                }
            }
        }
        let total = all.iter().map(|(due, ..)| due.bytes).sum();
        let (mut done, mut rewritten) = (0, Vec::new());
        for (mut due, tenant, hour, listing, block) in all {
            progress(done, total);
            if !is_dry_run {
                match self.rewrite_block(&tenant, hour, &listing, block).await {
                    Ok(successor) => due.successor = Some(successor.0),
                    Err(error) => {
                        tracing::warn!(tenant = tenant.key(), %hour, %error, "rewrite failed");
                        due.error = Some(error.to_string());
                    }
                }
            }
            done += due.bytes;
            rewritten.push(due);
        }
        progress(done, total);
        Ok(rewritten)
    }

    /// Writes the successor of a block. Row groups that are damaged are left out and noted in it.
    async fn rewrite_block(
        &self,
        tenant: &Tenant,
        hour: Hour,
        listing: &Listing,
        block: BlockId,
    ) -> Result<BlockId> {
        let mut skipped = Skipped::default();
        let piece = Piece::Block(block.clone());
        loop {
            let inputs = inputs(&self.options.writer, &block, &skipped, upgrade)?;
            let merged = self
                .merge_all(tenant, hour, listing, &[&piece], inputs, &skipped)
                .await;
            if let Some(made) = self.made_or_skip(tenant, merged, &mut skipped).await? {
                return Ok(made);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_successor_sorts_before_that_of_the_block_and_is_always_the_same() {
        for block in ["f", "8", "0a", "00f"] {
            let block = BlockId(format!("{block:0<32}"));
            let named = || inputs("1", &block, &Skipped::default(), upgrade).expect("a name");
            let first = named();
            assert!(id("1", &first) < block);
            assert_eq!(named(), first);
        }
        let first = BlockId("0".repeat(32));
        assert!(id("1", &["x".to_owned()]) > first);
    }
}
