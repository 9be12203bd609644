//! Ranks what changed.

use super::measure::Measure;
use super::read::{Key, Usage};
use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A change below this part of the larger value is none.
const SAME_RATIO: f64 = 0.1;
/// A change below this part of all groups is none.
const SAME_SHARE: f64 = 0.005;
/// Errors are ranked as if at least this part of all requests had failed, so that a single error is not a large change.
const ERRORS_MIN: f64 = 0.01;

/// The range that usage is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::query) enum Base {
    Hour,
    Day,
    Week,
}

impl Base {
    /// The name in parameters and responses.
    pub(in crate::query) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// Parses the parameter `against`.
    pub(in crate::query) fn parse(text: Option<&str>) -> Result<Option<Self>> {
        match text {
            None => Ok(None),
            Some("hour") => Ok(Some(Self::Hour)),
            Some("day") => Ok(Some(Self::Day)),
            Some("week") => Ok(Some(Self::Week)),
            Some(other) => Err(Error::invalid(format!(
                "invalid against {other:?}; expected hour, day or week"
            ))),
        }
    }
}

/// How the value of a group changed.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::query) struct Change {
    pub(in crate::query) key: Key,
    pub(in crate::query) measure: Measure,
    pub(in crate::query) now: f64,
    /// The value in each base that has the measure.
    pub(in crate::query) before: BTreeMap<Base, f64>,
    /// `grew`, `shrank`, `new`, `gone`, `same`, or `unknown` without a base.
    pub(in crate::query) kind: &'static str,
    /// The change as a share of all groups, by which changes are ranked; without a base the value's share.
    pub(in crate::query) score: f64,
}

/// Changes, the largest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::query) struct Changes {
    /// The base that they are ranked by: the one asked for, or the first that has data.
    pub(in crate::query) against: Option<Base>,
    pub(in crate::query) ranked: Vec<Change>,
    /// The sum over all groups by measure, now and in each base.
    pub(in crate::query) totals: BTreeMap<Measure, (f64, BTreeMap<Base, f64>)>,
}

/// The sum of a measure over all groups; zero if it does not add up.
fn total(usage: &Usage, measure: Measure) -> f64 {
    let of = usage.values.iter().filter(|((_, of), _)| *of == measure);
    of.fold(0.0, |sum, (_, value)| sum + value)
}

/// Ranks the changes of all groups against one base.
pub(in crate::query) fn rank(
    now: &Usage,
    bases: &[(Base, Usage)],
    wanted: Option<Base>,
) -> Changes {
    let first = bases.iter().find(|(_, usage)| !usage.measured.is_empty());
    let against = wanted.or(first.map(|(base, _)| *base));
    let base = bases.iter().find(|(base, _)| Some(*base) == against);
    let base = base.map(|(_, usage)| usage);
    let value = |usage: &Usage, key: &Key, measure: Measure| {
        let known = usage.values.get(&(key.clone(), measure)).copied();
        known.unwrap_or(0.0)
    };
    let has = |usage: &Usage, measure: Measure| usage.measured.contains(&measure);
    let whole = |measure: Measure| {
        let of = |usage: &Usage| total(usage, measure);
        of(now).max(base.map_or(0.0, of))
    };
    let requests = whole(Measure::Requests);
    let wholes: BTreeMap<Measure, f64> = Measure::ALL.iter().map(|of| (*of, whole(*of))).collect();
    let all = bases.iter().map(|(_, usage)| usage).chain([now]);
    let keys: BTreeSet<&(Key, Measure)> = all.flat_map(|usage| usage.values.keys()).collect();
    let mut changes: Vec<Change> = Vec::with_capacity(keys.len());
    for (key, measure) in keys {
        let measure = *measure;
        let current = value(now, key, measure);
        let before = bases.iter().filter(|(_, usage)| has(usage, measure));
        let before = before.map(|(base, usage)| (*base, value(usage, key, measure)));
        let before: BTreeMap<Base, f64> = before.collect();
        let known = base.filter(|usage| has(usage, measure));
        let Some(then) = known.map(|usage| value(usage, key, measure)) else {
            changes.push(Change {
                key: key.clone(),
                measure,
                now: current,
                before,
                kind: "unknown",
                // The largest first.
                score: if measure.is_sum() {
                    current / wholes[&measure].max(f64::MIN_POSITIVE)
                } else {
                    0.0
                },
            });
            continue;
        };
        let change = (current - then).abs();
        let ratio = change / current.max(then).max(f64::MIN_POSITIVE);
        let share = match measure {
            // The change counts as much as the part of the requests that it concerns.
            Measure::P99 => {
                let of_group = value(now, key, Measure::Requests)
                    .max(known.map_or(0.0, |usage| value(usage, key, Measure::Requests)));
                ratio * of_group / requests.max(f64::MIN_POSITIVE)
            }
            Measure::Errors => {
                let least = (requests * ERRORS_MIN).max(f64::MIN_POSITIVE);
                change / wholes[&measure].max(least)
            }
            _ => change / wholes[&measure].max(f64::MIN_POSITIVE),
        };
        let kind = if current == 0.0 && then == 0.0 {
            "same"
        } else if then == 0.0 {
            "new"
        } else if current == 0.0 {
            "gone"
        } else if ratio < SAME_RATIO || share < SAME_SHARE {
            "same"
        } else if current > then {
            "grew"
        } else {
            "shrank"
        };
        changes.push(Change {
            key: key.clone(),
            measure,
            now: current,
            before,
            kind,
            score: share.min(1.0),
        });
    }
    // Scores are finite. Of equal ones, the larger value first.
    let order = |score: f64| Reverse((score * 1e9) as i64);
    changes.sort_by(|a, b| {
        let by_score = (a.kind == "same", order(a.score)).cmp(&(b.kind == "same", order(b.score)));
        let by_value = || b.now.total_cmp(&a.now);
        by_score
            .then_with(by_value)
            .then_with(|| (&a.key, a.measure).cmp(&(&b.key, b.measure)))
    });
    let totals = Measure::ALL.iter().filter(|measure| measure.is_sum());
    let totals = totals.map(|measure| {
        let bases = bases.iter().filter(|(_, usage)| has(usage, *measure));
        let before = bases.map(|(base, usage)| (*base, total(usage, *measure)));
        (*measure, (total(now, *measure), before.collect()))
    });
    Changes {
        against,
        totals: totals.collect(),
        ranked: changes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(values: &[(&str, Measure, f64)]) -> Usage {
        let mut usage = Usage::default();
        for (member, measure, value) in values {
            usage.measured.insert(*measure);
            let key = (vec![(*member).to_owned()], *measure);
            usage.values.insert(key, *value);
        }
        usage
    }

    fn said(changes: &Changes) -> Vec<String> {
        let lines = changes.ranked.iter().map(|change| {
            let (member, measure) = (&change.key[0], change.measure.name());
            format!("{member} {measure} {}", change.kind)
        });
        lines.collect()
    }

    #[test]
    fn changes_are_ranked_by_their_share_of_the_whole() {
        use Measure::{Cpu, Heap};
        let now = usage(&[
            ("api", Cpu, 4.0),
            ("gc", Cpu, 0.1),
            ("scanner", Cpu, 1.0),
            ("api", Heap, 105.0),
            ("tracker", Heap, 400.0),
        ]);
        let then = usage(&[
            ("api", Cpu, 1.0),
            ("gone", Cpu, 0.5),
            ("scanner", Cpu, 1.4),
            ("api", Heap, 100.0),
            ("tracker", Heap, 100.0),
        ]);
        let ranked = rank(&now, &[(Base::Hour, then)], None);
        assert_eq!(ranked.against, Some(Base::Hour));
        let expected = [
            "tracker heap grew",
            "api cpu grew",
            "gone cpu gone",
            "scanner cpu shrank",
            "gc cpu new",
            "api heap same",
        ];
        assert_eq!(said(&ranked), expected);
        assert!((ranked.totals[&Cpu].0 - 5.1).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_new_against_a_range_without_data() {
        let now = usage(&[("api", Measure::Cpu, 1.0)]);
        let day = usage(&[("api", Measure::Cpu, 0.5)]);
        let bases = [(Base::Hour, Usage::default()), (Base::Day, day)];
        let ranked = rank(&now, &bases, Some(Base::Hour));
        assert_eq!(said(&ranked), ["api cpu unknown"]);
        // Without a wish, the first range with data is used.
        let ranked = rank(&now, &bases, None);
        assert_eq!(ranked.against, Some(Base::Day));
        assert_eq!(said(&ranked), ["api cpu grew"]);
    }

    #[test]
    fn single_errors_and_slow_rare_operations_rank_below_what_concerns_many_requests() {
        use Measure::{Errors, P99, Requests};
        let now = usage(&[
            ("api", Requests, 100.0),
            ("rare", Requests, 0.1),
            ("api", P99, 0.2),
            ("rare", P99, 10.0),
            ("rare", Errors, 0.1),
        ]);
        let then = usage(&[
            ("api", Requests, 100.0),
            ("rare", Requests, 0.1),
            ("api", P99, 0.1),
            ("rare", P99, 0.1),
            ("api", Errors, 0.0),
        ]);
        let ranked = rank(&now, &[(Base::Hour, then)], None);
        assert_eq!(said(&ranked)[..2], ["api p99 grew", "rare errors new"]);
        assert!(ranked.ranked[1].score < 0.2);
    }
}
