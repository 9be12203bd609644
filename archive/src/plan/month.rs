//! Decides what is merged into a month block: a pure function of the listing of a month and the time.

use crate::key::{BlockId, Day, Month};
use crate::plan::Policy;
use crate::plan::retention::Retention;
use crate::rule::month::{DaySource, MonthBlock, MonthListing};
use davy_base::Timestamp;
use std::collections::BTreeMap;

/// What to merge into a month block, and which month blocks to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthPlan {
    /// Day blocks to merge; empty if there is nothing to merge.
    pub merge: BTreeMap<Day, BlockId>,
    /// Time since which they are due to be merged.
    pub since: Timestamp,
    /// Month blocks that no reader uses, because another one has been readable for at least the grace period, or because
    /// a day block that they were merged from was deleted.
    pub delete: Vec<BlockId>,
    /// Month blocks without a meta object, for the same reason.
    pub unfinished: Vec<BlockId>,
}

/// Plans one month.
///
/// A month is merged when it is over, every day that has windows is read from one day block, and none of these was
/// written within `month_settle`. Late windows make other day blocks; the month is merged again when they have settled.
///
/// A month is not merged for less than `month_kept`: when its first days expire, the others would be merged every day.
/// Neither is one of less than `month_days` days, which are read as fast one by one.
pub fn plan_month(
    listing: &MonthListing,
    month: Month,
    now: Timestamp,
    policy: &Policy,
    retention: &Retention,
) -> MonthPlan {
    let mut plan = MonthPlan::default();
    let old = |since: Timestamp| since.plus(policy.grace) <= now;
    if let Some(at) = listing.choose() {
        let chosen = &listing.blocks[at];
        if old(chosen.since) {
            let others = listing.blocks.iter().filter(|of| of.id != chosen.id);
            plan.delete = others.map(|of| of.id.clone()).collect();
            let unfinished = listing.unfinished.iter().filter(|of| old(of.since));
            plan.unfinished = unfinished.map(|of| of.id.clone()).collect();
        }
        return plan;
    }
    let is_outdated = |of: &&MonthBlock| listing.outdated.contains(&of.id) && old(of.since);
    let outdated = listing.blocks.iter().filter(is_outdated);
    plan.delete = outdated.map(|of| of.id.clone()).collect();
    let first = listing.days.keys().next();
    let is_kept = first.is_some_and(|day| {
        let until = day.end().plus(retention.days);
        now.plus(policy.month_kept) < until
    });
    let newest = listing.days.values().filter_map(|source| match source {
        DaySource::Block(_, since) => Some(*since),
        DaySource::Other => None,
    });
    let settled = newest.max().unwrap_or(month.end()).max(month.end());
    if is_kept
        && settled.plus(policy.month_settle) <= now
        && listing.days.len() >= policy.month_days
        && let Some(sources) = listing.sources()
    {
        plan.merge = sources;
        plan.since = settled.plus(policy.month_settle);
    }
    plan
}

#[cfg(test)]
mod tests;
