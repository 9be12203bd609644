//! Deletes what has expired.

use super::compactor::Compactor;
use super::succeed::Predecessor;
use crate::bucket::ReadError;
use crate::error::Result;
use crate::format::Table;
use crate::key::{BlockId, Day, Hour, Month, Period, Tenant};
use crate::plan::Piece;
use crate::plan::retention::{Expired, Reason, Retention, plan_month_retention, plan_retention};
use crate::plan::rules::{Fates, TenantRules};
use crate::rule::day::{DayBlock, DayListing};
use crate::rule::month::MonthListing;
use davy_base::Timestamp;
use serde::Serialize;

/// Something whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`, `YYYY-MM-DD` of a day block, or `YYYY-MM` of a month block.
    pub period: String,
    /// `segment`, `hour`, `day`, `hourly sums` of a day block, `month`, `series` of a block, `unfinished` files of a block,
    /// or `capture`.
    pub kind: &'static str,
    /// Name of the segment or block.
    pub name: String,
    /// Size in bytes; of series, about.
    pub bytes: u64,
    /// The selector of the rule that expires series; empty for everything else.
    pub rule: String,
    /// Number of series that a rule expires.
    pub series: usize,
    /// Why it is deleted or kept.
    pub reason: &'static str,
    #[serde(skip)]
    pub(crate) because: Reason,
    /// What was done.
    pub outcome: Outcome,
}

/// The action for an object whose retention is over.
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

/// What is left of a block without the series that have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Series {
    /// Some series, or they are not known.
    Left,
    /// None.
    AllExpired,
}

impl Compactor {
    /// Deletes what has expired, or only says what would be deleted. Anything may be deleted while queries run.
    pub async fn retain(&self, dry_run: bool) -> Result<Vec<Retained>> {
        let mut all = Vec::new();
        for tenant in self.bucket.tenants().await? {
            let folders = self.bucket.levels(&tenant);
            let (days, _) = self.bucket.days(&tenant, &folders, Hour::EVER).await?;
            for (day, listing) in &days {
                if !listing.is_incomplete {
                    all.extend(self.expire(&tenant, *day, listing, dry_run).await);
                }
            }
            let (months, _) = self.bucket.months(&tenant, &days).await?;
            for (month, listing) in months {
                all.extend(self.expire_month(&tenant, month, &listing, dry_run).await);
            }
            all.extend(self.expire_captures(&tenant, dry_run).await?);
        }
        Ok(all)
    }

    /// How long each level is kept.
    pub(crate) fn retention(&self) -> Retention {
        self.options.levels.with_accepted(self.options.retention)
    }

    /// The rules that apply to a tenant.
    pub(crate) fn rules_of(&self, tenant: &Tenant) -> TenantRules {
        TenantRules::of(&self.rules.all(), tenant, self.retention().days)
    }

    /// What of a day has expired at a time, or is kept although its retention is over.
    pub(crate) async fn due(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        at: Timestamp,
    ) -> Vec<(Expired, Retained)> {
        let (rules, grace) = (self.rules_of(tenant), self.options.policy.grace);
        let fates = self.fates(tenant, day, listing, &rules, at).await;
        let plan = plan_retention(listing, day, at, &self.retention(), grace, &fates);
        let described = plan.into_iter().map(|(expired, reason)| {
            let mut of = describe(tenant, day, listing, &expired, reason);
            if let Expired::Series(_, _, classes) = &expired {
                let texts = classes.iter().map(|class| rules.text(*class));
                of.rule = texts.collect::<Vec<_>>().join(" and ");
            }
            (expired, of)
        });
        described.collect()
    }

    /// What rules do with the blocks of a day. Blocks that cannot be read are left out.
    async fn fates(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        rules: &TenantRules,
        now: Timestamp,
    ) -> Fates {
        let mut fates = Fates::default();
        if rules.is_empty() {
            return fates;
        }
        fates.longest = Some(rules.longest());
        let mut blocks: Vec<(Period, Timestamp, &BlockId)> = Vec::new();
        for block in &listing.blocks {
            blocks.push((day.into(), day.end(), &block.id));
        }
        for (hour, pieces) in &listing.hours {
            let of_hour = pieces.blocks.iter();
            blocks.extend(of_hour.map(|of| ((*hour).into(), hour.end(), &of.id)));
        }
        for (period, end, id) in blocks {
            // No class has expired, so the meta object is not read.
            if end.plus(rules.shortest()) > now {
                continue;
            }
            let Ok(meta) = self.bucket.meta(tenant, period, id).await else {
                continue;
            };
            let services = meta.groups.iter().flat_map(|group| &group.services);
            let services = services.map(String::as_str);
            let fate = rules.fate(end, now, services, &meta.inputs);
            fates.blocks.insert(id.clone(), fate);
        }
        fates
    }

    /// Deletes what has expired in a day, one object after another.
    pub(super) async fn expire(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        dry_run: bool,
    ) -> Vec<Retained> {
        let now = self.options.clock.now();
        let mut all = Vec::new();
        for (expired, mut of) in self.due(tenant, day, listing, now).await {
            if let Expired::Series(period, block, classes) = &expired {
                let is_listed = |of: &&DayBlock| of.id == *block;
                let listed = listing.blocks.iter().find(is_listed);
                let predecessor = Predecessor {
                    tenant,
                    period: *period,
                    id: block,
                    has_samples: listed.is_none_or(|of| of.has_hours),
                    classes,
                    rules: &self.rules_of(tenant),
                };
                // Otherwise it would be merged again.
                let last = match period {
                    Period::Hour(hour) => listing.hours[hour]
                        .segments
                        .is_empty()
                        .then(|| Expired::Piece(*hour, Piece::Block(block.clone()))),
                    Period::Day(_) | Period::Month(_) => listing
                        .hours
                        .values()
                        .all(|of| of.segments.is_empty() && of.blocks.is_empty())
                        .then(|| Expired::Block(block.clone())),
                };
                let done = self.expire_series(&predecessor, &mut of, dry_run).await;
                if done == Series::AllExpired
                    && let Some(last) = last
                {
                    of.outcome = self.delete_and_say(tenant, day.into(), &last).await;
                }
            } else if of.because != Reason::NotCovered && !dry_run {
                of.outcome = self.delete_and_say(tenant, day.into(), &expired).await;
            }
            all.push(of);
        }
        all
    }

    async fn delete_and_say(&self, tenant: &Tenant, period: Period, expired: &Expired) -> Outcome {
        match self.delete_expired(tenant, period, expired).await {
            Ok(()) => Outcome::Deleted,
            Err(error) => {
                tracing::warn!(tenant = tenant.key(), %period, %error, "delete failed");
                Outcome::Failed(error.to_string())
            }
        }
    }

    /// Replaces a block by a successor without the series that have expired.
    async fn expire_series(
        &self,
        of: &Predecessor<'_>,
        item: &mut Retained,
        dry_run: bool,
    ) -> Series {
        match self.weigh(of).await {
            Ok(weight) => {
                item.series = weight.series;
                item.bytes = weight.bytes;
            }
            Err(ReadError::Gone) => return Series::Left,
            Err(ReadError::Failed(error)) => {
                item.outcome = Outcome::Failed(error.to_string());
                return Series::Left;
            }
        }
        if dry_run {
            return Series::Left;
        }
        let succeeded = self.succeed(of).await;
        let outcome = if succeeded.is_ok() { "done" } else { "failed" };
        let counter = self.metrics.compactions.with_label_values(&[outcome]);
        counter.inc();
        item.outcome = match succeeded {
            Ok(Some(_)) => Outcome::Deleted,
            Ok(None) => Outcome::Kept,
            Err(error) => {
                tracing::warn!(tenant = of.tenant.key(), period = %of.period, %error, "successor failed");
                Outcome::Failed(error.to_string())
            }
        };
        if item.outcome == Outcome::Kept {
            Series::AllExpired
        } else {
            Series::Left
        }
    }

    /// What of a month has expired at a time.
    pub(crate) fn due_month(
        &self,
        tenant: &Tenant,
        month: Month,
        listing: &MonthListing,
        at: Timestamp,
    ) -> Vec<(Expired, Retained)> {
        let grace = self.options.policy.grace;
        let plan = plan_month_retention(listing, month, at, &self.retention(), grace);
        let described = plan.into_iter().map(|(expired, reason)| {
            let of = describe_month(tenant, month, listing, &expired, reason);
            (expired, of)
        });
        described.collect()
    }

    /// Deletes what has expired of a month, or only says what would be deleted.
    pub(super) async fn expire_month(
        &self,
        tenant: &Tenant,
        month: Month,
        listing: &MonthListing,
        dry_run: bool,
    ) -> Vec<Retained> {
        let now = self.options.clock.now();
        let mut all = Vec::new();
        for (expired, mut of) in self.due_month(tenant, month, listing, now) {
            if !dry_run {
                of.outcome = self.delete_and_say(tenant, month.into(), &expired).await;
            }
            all.push(of);
        }
        all
    }

    /// Deletes something of a day or month.
    async fn delete_expired(
        &self,
        tenant: &Tenant,
        period: Period,
        expired: &Expired,
    ) -> Result<()> {
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
            Expired::Series(..) => return Ok(()),
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
        Expired::Series(period, id, _) => (period.to_string(), "series", id.0.clone(), None),
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
        rule: String::new(),
        series: 0,
        reason: reason.text(),
        because: reason,
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
        Expired::Piece(..) | Expired::Hours(_) | Expired::Block(_) | Expired::Series(..) => {
            ("", String::new(), None)
        }
    };
    Retained {
        tenant: tenant.key().to_owned(),
        period: month.to_string(),
        kind,
        name,
        bytes: bytes.unwrap_or(0),
        rule: String::new(),
        series: 0,
        reason: reason.text(),
        because: reason,
        outcome: Outcome::Due,
    }
}
