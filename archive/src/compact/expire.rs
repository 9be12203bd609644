//! Deletes what has expired.

use super::compactor::Compactor;
use crate::error::Result;
use crate::format::Table;
use crate::key::{BlockId, Day, Hour, Tenant};
use crate::plan::Piece;
use crate::plan::retention::{Expired, Reason, plan_retention};
use crate::rule::day::DayListing;
use serde::Serialize;

/// Something whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`, or `YYYY-MM-DD` of a day block.
    pub period: String,
    /// `segment`, `hour`, `day`, `hourly sums` of a day block, or `unfinished` files of a block.
    pub kind: &'static str,
    /// Name of the segment or block.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Why it is deleted or kept.
    pub reason: &'static str,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done with something whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was deleted.
    Deleted,
    /// It would be deleted, but this is a dry run.
    Due,
    /// It is kept because no day block has its sums yet.
    Kept,
    /// It could not be deleted.
    Failed(String),
}

impl Compactor {
    /// Deletes what has expired, or only says what would be deleted. Anything may be deleted while queries run.
    pub async fn retain(&self, dry_run: bool) -> Result<Vec<Retained>> {
        let mut all = Vec::new();
        for tenant in self.bucket.tenants().await? {
            let folders = self.bucket.levels(&tenant);
            let (days, _) = self.bucket.days(&tenant, &folders, Hour::EVER).await?;
            for (day, listing) in days {
                all.extend(self.expire(&tenant, day, &listing, dry_run).await);
            }
        }
        Ok(all)
    }

    /// Deletes what has expired in a day, one object after another.
    pub(super) async fn expire(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        dry_run: bool,
    ) -> Vec<Retained> {
        let levels = self.options.levels.with_accepted(self.options.retention);
        let (now, grace) = (self.options.clock.now(), self.options.policy.grace);
        let mut all = Vec::new();
        for (expired, reason) in plan_retention(listing, day, now, &levels, grace) {
            let mut of = describe(tenant, day, listing, &expired, reason);
            if reason != Reason::NotCovered && !dry_run {
                of.outcome = match self.delete_expired(tenant, day, &expired).await {
                    Ok(()) => Outcome::Deleted,
                    Err(error) => {
                        tracing::warn!(tenant = tenant.key(), %day, %error, "delete failed");
                        Outcome::Failed(error.to_string())
                    }
                };
            }
            all.push(of);
        }
        all
    }

    async fn delete_expired(&self, tenant: &Tenant, day: Day, expired: &Expired) -> Result<()> {
        let kind = match expired {
            Expired::Piece(hour, piece) => return self.delete(tenant, *hour, piece).await,
            Expired::Hours(block) => {
                let file = Table::Samples.file();
                let key = self.bucket.keys.block(tenant, day, block, &file);
                self.bucket.delete(&key).await?;
                "hourly sums"
            }
            Expired::Block(block) => {
                self.delete_block(tenant, day.into(), block).await?;
                "day"
            }
            Expired::Unfinished(period, block) => {
                self.delete_block(tenant, *period, block).await?;
                "unfinished"
            }
        };
        self.metrics.deleted.with_label_values(&[kind]).inc();
        Ok(())
    }
}

fn describe(
    tenant: &Tenant,
    day: Day,
    listing: &DayListing,
    expired: &Expired,
    reason: Reason,
) -> Retained {
    let block = |id: &BlockId| listing.blocks.iter().find(|of| of.id == *id);
    let (period, kind, name, bytes) = match expired {
        Expired::Piece(hour, piece) => {
            let pieces = &listing.hours[hour];
            let (kind, name, bytes) = match piece {
                Piece::Segment(name) => {
                    let found = pieces.segments.iter().find(|of| of.name == *name);
                    ("segment", name.to_string(), found.map(|of| of.bytes))
                }
                Piece::Block(id) => {
                    let found = pieces.blocks.iter().find(|of| of.id == *id);
                    ("hour", id.0.clone(), found.map(|of| of.bytes))
                }
            };
            (hour.to_string(), kind, name, bytes)
        }
        Expired::Hours(id) => {
            let bytes = block(id).map(|of| of.hours_bytes);
            (day.to_string(), "hourly sums", id.0.clone(), bytes)
        }
        Expired::Block(id) => {
            let bytes = block(id).map(|of| of.bytes);
            (day.to_string(), "day", id.0.clone(), bytes)
        }
        Expired::Unfinished(period, id) => {
            let found = listing.unfinished.iter().find(|of| of.id == *id);
            let bytes = found.map(|of| of.bytes);
            (period.to_string(), "unfinished", id.0.clone(), bytes)
        }
    };
    let is_kept = reason == Reason::NotCovered;
    Retained {
        tenant: tenant.key().to_owned(),
        period,
        kind,
        name,
        bytes: bytes.unwrap_or(0),
        reason: reason.text(),
        outcome: if is_kept { Outcome::Kept } else { Outcome::Due },
    }
}
