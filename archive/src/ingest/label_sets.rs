//! Chooses which sample labels of a profile become labels of series.

use crate::error::{Error, ErrorKind, Result};
use crate::labels::{self, Labels, NAME, SERVICE};
use crate::metrics::Metrics;
use davy_profile::{LabelSetId, LabelValue, Profile};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Maximum number of text labels in all label sets of a profile.
const PAIRS: usize = 1_000_000;

/// The labels to store for each label set of a profile: text labels only, and at most `limit`
/// distinct sets. If there are more, the keys with the most values are dropped: keys are kept in
/// ascending order of their number of values until the next one would exceed the limit.
pub(super) fn sample_labels(
    profile: &Profile,
    limit: usize,
    metrics: &Metrics,
) -> Result<Vec<Arc<Labels>>> {
    let sets = profile.label_sets.len();
    let mut by_key: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    let (mut numbers, mut reserved, mut all) = (0u64, 0u64, 0usize);
    for set in 0..sets as u32 {
        let mut count = 0;
        for label in profile.label_sets.get(LabelSetId(set)) {
            let key = profile.text(label.key);
            let value = match label.value {
                LabelValue::Number(..) => {
                    numbers += 1;
                    continue;
                }
                LabelValue::Text(_) if key == SERVICE || key == NAME => {
                    reserved += 1;
                    continue;
                }
                LabelValue::Text(value) => profile.text(value),
            };
            labels::check(key, value)
                .map_err(|fault| Error::invalid(format!("invalid sample label: {fault}")))?;
            if value.is_empty() {
                continue;
            }
            count += 1;
            let pairs = by_key.entry(key).or_default();
            match pairs.last_mut() {
                // The last value of a name wins.
                Some(last) if last.0 == set => last.1 = value,
                _ => pairs.push((set, value)),
            }
        }
        if count > labels::COUNT {
            return Err(Error::invalid(format!(
                "invalid sample labels: {}",
                labels::Fault::TooMany(count)
            )));
        }
        all += count;
        if all > PAIRS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the profile has more than {PAIRS} sample labels, the limit"),
            ));
        }
    }
    let dropped = |why: &str, count: u64| {
        let counter = metrics.dropped_labels.with_label_values(&[why]);
        counter.inc_by(count);
    };
    dropped("number", numbers);
    dropped("reserved", reserved);

    let mut keys: Vec<(usize, &str)> = by_key
        .iter()
        .map(|(key, pairs)| {
            let values: FxHashSet<&str> = pairs.iter().map(|(_, value)| *value).collect();
            (values.len(), *key)
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
    for (_, key) in &keys[..kept] {
        for (set, value) in &by_key[key] {
            let group = groups[*set as usize];
            if first[&group] == *set {
                let of = pairs.entry(group).or_default();
                of.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
    }
    let mut labels: FxHashMap<u32, Arc<Labels>> = pairs
        .into_iter()
        .map(|(group, pairs)| (group, Arc::new(Labels::from_pairs(pairs))))
        .collect();
    let of_set = |group: &u32| Arc::clone(labels.entry(*group).or_default());
    Ok(groups.iter().map(of_set).collect())
}

/// Groups label sets by the values of as many keys as possible without exceeding `limit` groups.
/// Returns the group of each set, and how many keys were used.
fn split(
    keys: &[(usize, &str)],
    by_key: &BTreeMap<&str, Vec<(u32, &str)>>,
    sets: usize,
    limit: usize,
) -> (Vec<u32>, usize) {
    let mut groups = vec![0u32; sets];
    let mut sizes = vec![sets];
    let mut distinct = 1;
    for (taken, (_, key)) in keys.iter().enumerate() {
        let mut next: FxHashMap<(u32, &str), u32> = FxHashMap::default();
        let mut moved: Vec<(u32, u32)> = Vec::new();
        for (set, value) in &by_key[key] {
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
