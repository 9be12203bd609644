//! How long each level is kept, and what is deleted next.

use super::model::{Kept, KeptByRule, Retention};
use crate::archive::Archive;
use crate::compact::Outcome;
use crate::inspect::Listed;
use crate::key::{BlockId, Period, Tenant};
use crate::plan::retention::{Expired, Reason};
use crate::plan::rules::{Class, TenantRules};
use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How far the page looks ahead.
const AHEAD: Duration = Duration::from_hours(24);

/// The levels and rules, with what expires within [`AHEAD`].
pub(super) async fn retention(
    archive: &Archive,
    tenant: &Tenant,
    (days, months): Listed<'_>,
    now: Timestamp,
) -> Retention {
    let compactor = archive.compactor();
    let (retention, rules) = (compactor.retention(), compactor.rules_of(tenant));
    let of = |level, span: Duration| Kept {
        level,
        seconds: span.as_secs(),
        ..Kept::default()
    };
    let mut levels = [
        of("windows", retention.windows),
        of("hours", retention.hours),
        of("days", retention.days),
    ];
    let by_rule = rules.iter().map(|(_, rule)| KeptByRule {
        selector: rule.selector.text().to_owned(),
        seconds: rule.days.as_secs(),
        ..KeptByRule::default()
    });
    let mut by_rule: Vec<KeptByRule> = by_rule.collect();
    for (day, listing) in days {
        for (expired, due) in compactor.due(tenant, *day, listing, now.plus(AHEAD)).await {
            if let Expired::Series(period, id, classes) = &expired {
                let shares = shares(archive, tenant, (*period, id), &rules, classes).await;
                for (class, bytes) in shares {
                    // What no rule selects expires with its level.
                    if let Some(rule) = by_rule.get_mut(class) {
                        rule.due_blocks += 1;
                        rule.due_bytes += bytes;
                    } else {
                        levels[2].due_bytes += bytes;
                    }
                }
                continue;
            }
            let level = match (due.because, &expired) {
                (Reason::NotCovered, _) => continue,
                (Reason::Hours, _) => &mut levels[1],
                (Reason::Days | Reason::Rule, Expired::Block(_)) => &mut levels[2],
                _ => &mut levels[0],
            };
            level.due_pieces += 1;
            level.due_bytes += due.bytes;
        }
        let waiting = compactor.due(tenant, *day, listing, now).await.into_iter();
        for (_, of) in waiting.filter(|(_, of)| of.outcome == Outcome::Kept) {
            levels[0].waiting_pieces += 1;
            levels[0].waiting_bytes += of.bytes;
        }
    }
    for (month, listing) in months {
        for (_, due) in compactor.due_month(tenant, *month, listing, now.plus(AHEAD)) {
            levels[2].due_pieces += 1;
            levels[2].due_bytes += due.bytes;
        }
    }
    Retention {
        due_within_seconds: AHEAD.as_secs(),
        levels: levels.into(),
        rules: by_rule,
    }
}

/// About how large the series of each of these classes are in a block: the share of the services that can have them.
async fn shares(
    archive: &Archive,
    tenant: &Tenant,
    (period, id): (Period, &BlockId),
    rules: &TenantRules,
    classes: &BTreeSet<Class>,
) -> BTreeMap<Class, u64> {
    let mut shares = BTreeMap::new();
    let Ok(meta) = archive.bucket().meta(tenant, period, id).await else {
        return shares;
    };
    for (at, group) in meta.groups.iter().enumerate() {
        let files = meta.tables.values().filter_map(|file| file.groups.get(at));
        let bytes: u64 = files.map(|(start, end, _)| end - start).sum();
        let bytes = bytes / group.services.len().max(1) as u64;
        for service in &group.services {
            let of_service = rules.classes(service);
            let share = bytes / of_service.len().max(1) as u64;
            for class in of_service.intersection(classes) {
                *shares.entry(*class).or_default() += share;
            }
        }
    }
    shares
}
