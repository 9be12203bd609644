//! Differences of cumulative values between two profiles of one process.

use davy_profile::{LabelValue, Profile};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Maximum number of stacks that are kept of a profile; without all of them there is no difference.
const STACKS: usize = 200_000;

/// Sample types whose values only grow while the process runs.
const CUMULATIVE: [&str; 4] = ["alloc_objects", "alloc_space", "contentions", "delay"];

/// Cumulative values by stack and labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals(FxHashMap<u128, Vec<i64>>);

/// The columns with cumulative values.
pub(crate) fn cumulative(profile: &Profile) -> Vec<usize> {
    let kind = |at: &usize| {
        let kind = profile.strings.get(profile.sample_types[*at].kind);
        CUMULATIVE.contains(&kind)
    };
    (0..profile.sample_types.len()).filter(kind).collect()
}

impl Totals {
    /// The cumulative values of a profile; none if it has too many stacks.
    pub(crate) fn of(profile: &Profile, columns: &[usize]) -> Option<(Self, Vec<u128>)> {
        let keys = keys(profile);
        let mut totals: FxHashMap<u128, Vec<i64>> = FxHashMap::default();
        for (sample, key) in keys.iter().enumerate() {
            let values = profile.values(sample);
            let sums = totals.entry(*key).or_insert_with(|| vec![0; columns.len()]);
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = sum.saturating_add(values[*column]);
            }
            if totals.len() > STACKS {
                return None;
            }
        }
        Some((Self(totals), keys))
    }

    /// The sums of all stacks, by column.
    fn sums(&self, columns: usize) -> Vec<i64> {
        let mut sums = vec![0i64; columns];
        for values in self.0.values() {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = sum.saturating_add(*value);
            }
        }
        sums
    }

    /// Whether the process of `self` was started after `before`: every sum has fallen below a half. A value alone can fall
    /// without a restart, because it is an estimate from samples.
    fn is_restarted(&self, before: &Self, columns: usize) -> bool {
        let (now, then) = (self.sums(columns), before.sums(columns));
        now.iter().zip(&then).all(|(now, then)| *now < *then / 2)
    }
}

/// Replaces cumulative values by the difference to `before`, at least 0. If the process was restarted since, all that it has
/// counted is new.
pub(crate) fn subtract(
    profile: &mut Profile,
    columns: &[usize],
    keys: &[u128],
    now: &Totals,
    before: &Totals,
) {
    if now.is_restarted(before, columns.len()) {
        return;
    }
    let mut left: FxHashMap<u128, Vec<i64>> = before.0.clone();
    let width = profile.sample_types.len();
    for (sample, key) in keys.iter().enumerate() {
        let Some(left) = left.get_mut(key) else {
            continue;
        };
        for (left, column) in left.iter_mut().zip(columns) {
            let value = &mut profile.samples.values[sample * width + column];
            let taken = (*left).min(*value);
            *value -= taken;
            *left -= taken;
        }
    }
}

/// Sets columns to 0, which leaves them out.
pub(crate) fn clear(profile: &mut Profile, columns: &[usize]) {
    let width = profile.sample_types.len();
    for sample in 0..profile.sample_count() {
        for column in columns {
            profile.samples.values[sample * width + column] = 0;
        }
    }
}

/// A hash of the stack and the labels of each sample, by what they are and not by their numbers.
fn keys(profile: &Profile) -> Vec<u128> {
    let mut text = String::new();
    let locations: Vec<u128> = profile
        .locations
        .iter()
        .map(|location| {
            text.clear();
            let _ = write!(text, "{:x}", profile.relative_address(location));
            for line in profile.lines_of(location) {
                if let Some(function) = profile.functions.get(line.function as usize) {
                    let name = profile.strings.get(function.name);
                    let _ = write!(text, "\n{name}\n{}", line.line);
                }
            }
            xxh3_128(text.as_bytes())
        })
        .collect();
    // The hash of a stack is that of its parent and its location, so each node is hashed once.
    let mut nodes: Vec<u128> = Vec::with_capacity(profile.stacks.len());
    for node in 0..profile.stacks.len() {
        let hash = if node == 0 {
            0
        } else {
            let parent = profile.stacks.parents()[node] as usize;
            let item = profile.stacks.item(davy_profile::NodeId(node as u32));
            let mut hash = Xxh3::new();
            hash.update(&nodes[parent].to_le_bytes());
            hash.update(&locations[item as usize].to_le_bytes());
            hash.digest128()
        };
        nodes.push(hash);
    }
    let samples = profile.samples.stacks.iter().zip(&profile.samples.labels);
    samples
        .map(|(stack, labels)| {
            let mut hash = Xxh3::new();
            hash.update(&nodes[stack.index()].to_le_bytes());
            for label in profile.label_sets.get(*labels) {
                hash.update(profile.strings.get(label.key).as_bytes());
                match label.value {
                    LabelValue::Text(value) => hash.update(profile.strings.get(value).as_bytes()),
                    LabelValue::Number(value, _) => hash.update(&value.to_le_bytes()),
                }
                hash.update(b"\n");
            }
            hash.digest128()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(samples: &[(&str, i64, i64)]) -> Profile {
        let mut profile = Profile::new();
        profile.add_sample_type("alloc_space", "bytes");
        profile.add_sample_type("inuse_space", "bytes");
        let labels = profile.text_labels(&[]);
        // In reverse order, so that numbers differ between profiles.
        for (name, alloc, inuse) in samples.iter().rev() {
            let location = profile.named_location(name);
            let stack = profile.stack([location]);
            profile.add_sample(stack, labels, &[*alloc, *inuse]);
        }
        profile
    }

    fn difference(
        before: &[(&str, i64, i64)],
        now: &[(&str, i64, i64)],
    ) -> Vec<(String, i64, i64)> {
        let (before, mut now) = (profile(before), profile(now));
        let columns = cumulative(&now);
        assert_eq!(columns, [0]);
        let (then, _) = Totals::of(&before, &columns).expect("few stacks");
        let (totals, keys) = Totals::of(&now, &columns).expect("few stacks");
        subtract(&mut now, &columns, &keys, &totals, &then);
        let mut all: Vec<(String, i64, i64)> = (0..now.sample_count())
            .map(|sample| {
                let stack = now.samples.stacks[sample];
                let location = now.locations[now.stacks.item(stack) as usize];
                let function = now.functions[now.lines_of(&location)[0].function as usize];
                let values = now.values(sample);
                (
                    now.strings.get(function.name).to_owned(),
                    values[0],
                    values[1],
                )
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn only_what_was_added_since_the_last_profile_is_left() {
        let found = difference(
            &[("a", 10, 1), ("b", 5, 2)],
            &[("c", 1, 0), ("b", 5, 3), ("a", 14, 4)],
        );
        let expected = [
            ("a".to_owned(), 4, 4),
            ("b".to_owned(), 0, 3),
            ("c".to_owned(), 1, 0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn everything_that_a_restarted_process_counted_is_new() {
        let found = difference(&[("a", 10, 1), ("b", 20, 2)], &[("a", 3, 3), ("b", 6, 1)]);
        assert_eq!(found, [("a".to_owned(), 3, 3), ("b".to_owned(), 6, 1)]);
        // An estimate that falls is no restart.
        let found = difference(&[("a", 10, 1), ("b", 20, 2)], &[("a", 9, 3), ("b", 26, 1)]);
        assert_eq!(found, [("a".to_owned(), 0, 3), ("b".to_owned(), 6, 1)]);
    }
}
