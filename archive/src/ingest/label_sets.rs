//! Chooses which sample labels of a profile become labels of series. Ids of spans and traces and times of samples do not.

use crate::labels::{self, Labels, NAME, SERVICE};
use crate::metrics::Metrics;
use crate::spans::SpanLink;
use davy_profile::{LabelSetId, LabelValue, Profile};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Maximum number of labels in all label sets of a profile.
const PAIRS: usize = 1_000_000;

/// The labels to store for a label set of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SampleLabels {
    /// Names and values.
    pub(super) labels: Arc<Labels>,
    /// Names of the labels whose values are numbers.
    pub(super) numbers: Vec<String>,
}

/// What is stored of the label sets of a profile.
#[derive(Default)]
pub(super) struct SampleSets {
    /// The distinct sets of labels.
    pub(super) sets: Vec<SampleLabels>,
    /// The index of the labels of each label set of the profile.
    pub(super) of_set: Vec<u32>,
    /// The span of each label set of the profile, and the time in nanoseconds since the epoch of its samples, 0 if it is not
    /// known; empty if there are no spans.
    pub(super) spans: Vec<(SpanLink, i64)>,
}

/// Whether a label states the time of a sample.
fn time(profile: &Profile, label: &davy_profile::Label) -> Option<i64> {
    match label.value {
        LabelValue::Number(time, _) if profile.text(label.key) == labels::TIME => Some(time),
        _ => None,
    }
}

/// The span and the time of each label set; empty if there are no spans.
fn spans(profile: &Profile) -> Vec<(SpanLink, i64)> {
    let mut spans: Vec<(SpanLink, i64)> = Vec::new();
    let sets = profile.label_sets.len();
    for set in 0..sets {
        for label in profile.label_sets.get(LabelSetId(set as u32)) {
            let LabelValue::Text(value) = label.value else {
                continue;
            };
            let mut link = SpanLink::default();
            if link.set(profile.text(label.key), profile.text(value)) {
                if spans.is_empty() {
                    spans.resize(sets, (SpanLink::default(), 0));
                }
                spans[set]
                    .0
                    .set(profile.text(label.key), profile.text(value));
            }
        }
    }
    for (set, (link, at)) in spans.iter_mut().enumerate() {
        if !link.is_none() {
            let labels = profile.label_sets.get(LabelSetId(set as u32)).iter();
            *at = labels
                .rev()
                .find_map(|label| time(profile, label))
                .unwrap_or(0);
        }
    }
    spans
}

/// A label as it is stored. Whatever an agent sends is stored in some form: a visitor of the service must not
/// be able to make its profiles invalid.
fn stored<'a>(
    profile: &'a Profile,
    label: &davy_profile::Label,
) -> Option<(Cow<'a, str>, Cow<'a, str>, bool)> {
    let name = labels::repaired_name(profile.text(label.key))?;
    let (value, is_number) = match label.value {
        LabelValue::Text(text) => (labels::repaired_value(profile.text(text)), false),
        LabelValue::Number(number, unit) => {
            let unit = profile.text(unit);
            let space = if unit.is_empty() { "" } else { " " };
            (
                labels::repaired_value(&format!("{number}{space}{unit}"))
                    .into_owned()
                    .into(),
                true,
            )
        }
    };
    Some((name, value, is_number))
}

/// What to store of the label sets of the profile: at most `limit` distinct sets. If there are more,
/// the keys with the most values are dropped: keys are kept in ascending order of their number of values until
/// the next one would exceed the limit.
pub(super) fn sample_labels(profile: &Profile, limit: usize, metrics: &Metrics) -> SampleSets {
    let spans = spans(profile);
    let is_id = |label: &davy_profile::Label| match label.value {
        LabelValue::Text(value) if !spans.is_empty() => {
            SpanLink::default().set(profile.text(label.key), profile.text(value))
        }
        _ => time(profile, label).is_some(),
    };
    let sets = profile.label_sets.len();
    let mut by_key: BTreeMap<Cow<'_, str>, Vec<(u32, Cow<'_, str>)>> = BTreeMap::new();
    let mut numeric: BTreeSet<(String, u32)> = BTreeSet::new();
    let (mut reserved, mut invalid, mut too_many, mut repaired, mut all) =
        (0u64, 0u64, 0u64, 0u64, 0usize);
    for set in 0..sets as u32 {
        let mut count = 0;
        let labels = profile.label_sets.get(LabelSetId(set)).iter();
        for label in labels.filter(|label| !is_id(label)) {
            let Some((name, value, is_number)) = stored(profile, label) else {
                invalid += 1;
                continue;
            };
            if name == SERVICE || name == NAME {
                reserved += 1;
                continue;
            }
            if value.is_empty() {
                continue;
            }
            if count == labels::COUNT || all == PAIRS {
                too_many += 1;
                continue;
            }
            count += 1;
            all += 1;
            let is_repaired = |text: &Cow<'_, str>| matches!(text, Cow::Owned(_));
            repaired += u64::from(is_repaired(&name) || (!is_number && is_repaired(&value)));
            if is_number {
                numeric.insert((name.clone().into_owned(), set));
            }
            let pairs = by_key.entry(name).or_default();
            match pairs.last_mut() {
                // The last value of a name wins.
                Some(last) if last.0 == set => last.1 = value,
                _ => pairs.push((set, value)),
            }
        }
    }
    metrics
        .repaired
        .with_label_values(&["label"])
        .inc_by(repaired);
    let dropped = |why: &str, count: u64| {
        let counter = metrics.dropped_labels.with_label_values(&[why]);
        counter.inc_by(count);
    };
    dropped("invalid", invalid);
    dropped("reserved", reserved);
    dropped("too_many", too_many);

    let mut keys: Vec<(usize, &str)> = by_key
        .iter()
        .map(|(key, pairs)| {
            let values: FxHashSet<&str> = pairs.iter().map(|(_, value)| &**value).collect();
            (values.len(), &**key)
        })
        .collect();
    keys.sort_unstable();
    let (groups, kept) = split(&keys, &by_key, sets, limit);
    if let (Some((values, worst)), left_out) = (keys.last(), &keys[kept..])
        && !left_out.is_empty()
    {
        let count: usize = left_out.iter().map(|(values, _)| values).sum();
        dropped("too_many_sets", count as u64);
        tracing::warn!(
            label = worst,
            values,
            labels = left_out.len(),
            limit,
            "too many sample label sets, dropping labels"
        );
    }

    // All sets of a group have the labels of its first set.
    let mut first: FxHashMap<u32, u32> = FxHashMap::default();
    for (set, group) in groups.iter().enumerate() {
        first.entry(*group).or_insert(set as u32);
    }
    let mut pairs: FxHashMap<u32, Vec<(String, String)>> = FxHashMap::default();
    let mut numbers: FxHashMap<u32, Vec<String>> = FxHashMap::default();
    for (_, key) in &keys[..kept] {
        for (set, value) in &by_key[*key] {
            let group = groups[*set as usize];
            if first[&group] == *set {
                let of = pairs.entry(group).or_default();
                of.push(((*key).to_owned(), value.clone().into_owned()));
                if numeric.contains(&((*key).to_owned(), *set)) {
                    numbers.entry(group).or_default().push((*key).to_owned());
                }
            }
        }
    }
    let mut stored = SampleSets {
        spans,
        ..SampleSets::default()
    };
    let mut numbered: FxHashMap<u32, u32> = FxHashMap::default();
    for group in groups {
        let index = *numbered.entry(group).or_insert_with(|| {
            let mut numbers = numbers.remove(&group).unwrap_or_default();
            numbers.sort();
            let labels = pairs.remove(&group).unwrap_or_default();
            stored.sets.push(SampleLabels {
                labels: Arc::new(Labels::from_pairs(labels)),
                numbers,
            });
            stored.sets.len() as u32 - 1
        });
        stored.of_set.push(index);
    }
    stored
}

/// Groups label sets by the values of as many keys as possible without exceeding `limit` groups.
/// Returns the group of each set, and how many keys were used.
fn split(
    keys: &[(usize, &str)],
    by_key: &BTreeMap<Cow<'_, str>, Vec<(u32, Cow<'_, str>)>>,
    sets: usize,
    limit: usize,
) -> (Vec<u32>, usize) {
    let mut groups = vec![0u32; sets];
    let mut sizes = vec![sets];
    let mut distinct = 1;
    for (taken, (_, key)) in keys.iter().enumerate() {
        let mut next: FxHashMap<(u32, &str), u32> = FxHashMap::default();
        let mut moved: Vec<(u32, u32)> = Vec::new();
        for (set, value) in &by_key[*key] {
            let old = groups[*set as usize];
            let new = *next.entry((old, value)).or_insert_with(|| {
                sizes.push(0);
                distinct += 1;
                (sizes.len() - 1) as u32
            });
            sizes[new as usize] += 1;
            sizes[old as usize] -= 1;
            distinct -= usize::from(sizes[old as usize] == 0);
            moved.push((*set, new));
        }
        if distinct > limit {
            return (groups, taken);
        }
        for (set, group) in moved {
            groups[set as usize] = group;
        }
    }
    (groups, keys.len())
}
