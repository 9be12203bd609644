//! Deletes what has expired.

use super::compactor::Compactor;
use crate::error::Result;
use crate::format::Table;
use crate::key::{BlockId, Day, Hour, Month, Period, Tenant};
use crate::plan::Piece;
use crate::plan::retention::{Expired, Reason, plan_month_retention, plan_retention};
use crate::rule::day::DayListing;
use crate::rule::month::MonthListing;
use serde::Serialize;

/// Something whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`, `YYYY-MM-DD` of a day block, or `YYYY-MM` of a month block.
    pub period: String,
    /// `segment`, `hour`, `day`, `hourly sums` of a day block, `month`, or `unfinished` files of a block.
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
            for (day, listing) in &days {
                all.extend(self.expire(&tenant, *day, listing, dry_run).await);
            }
            let (months, _) = self.bucket.months(&tenant, &days).await?;
            for (month, listing) in months {
                all.extend(self.expire_month(&tenant, month, &listing, dry_run).await);
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

    /// Deletes what has expired of a month, or only says what would be deleted.
    pub(super) async fn expire_month(
        &self,
        tenant: &Tenant,
        month: Month,
        listing: &MonthListing,
        dry_run: bool,
    ) -> Vec<Retained> {
        let levels = self.options.levels.with_accepted(self.options.retention);
        let (now, grace) = (self.options.clock.now(), self.options.policy.grace);
        let mut all = Vec::new();
        for (expired, reason) in plan_month_retention(listing, month, now, &levels, grace) {
            let mut of = describe_month(tenant, month, listing, &expired, reason);
            if !dry_run {
                let deleted = self.delete_expired(tenant, month, &expired).await;
                of.outcome = match deleted {
                    Ok(()) => Outcome::Deleted,
                    Err(error) => Outcome::Failed(error.to_string()),
                };
            }
            all.push(of);
        }
        all
    }

    /// Deletes something of a day or month.
    async fn delete_expired(
        &self,
        tenant: &Tenant,
        period: impl Into<Period>,
        expired: &Expired,
    ) -> Result<()> {
        let period = period.into();
        let kind = match expired {
            Expired::Piece(hour, piece) => return self.delete(tenant, *hour, piece).await,
            Expired::Hours(block) => {
                let file = Table::Samples.file();
                let key = self.bucket.keys.block(tenant, period, block, &file);
                self.bucket.delete(&key).await?;
                "hourly sums"
            }
            Expired::Block(block) => {
                self.delete_block(tenant, period, block).await?;
                "day"
            }
            Expired::Month(block) => {
                self.delete_block(tenant, period, block).await?;
                "month"
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
        // Those of months are described by `describe_month`.
        Expired::Month(id) => (day.to_string(), "month", id.0.clone(), None),
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

fn describe_month(
    tenant: &Tenant,
    month: Month,
    listing: &MonthListing,
    expired: &Expired,
    reason: Reason,
) -> Retained {
    let (kind, name, bytes) = match expired {
        Expired::Month(id) => {
            let found = listing.blocks.iter().find(|of| of.id == *id);
            ("month", id.0.clone(), found.map(|of| of.bytes))
        }
        Expired::Unfinished(_, id) => {
            let found = listing.unfinished.iter().find(|of| of.id == *id);
            ("unfinished", id.0.clone(), found.map(|of| of.bytes))
        }
        // Nothing else expires by month.
        Expired::Piece(..) | Expired::Hours(_) | Expired::Block(_) => ("", String::new(), None),
    };
    Retained {
        tenant: tenant.key().to_owned(),
        period: month.to_string(),
        kind,
        name,
        bytes: bytes.unwrap_or(0),
        reason: reason.text(),
        outcome: Outcome::Due,
    }
}
