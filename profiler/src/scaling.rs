//! Scales CPU samples to exact accounting: samples show where CPU time was spent, accounting how much.
//!
//! A CPU timer fires at the kernel's tick. Work in step with the tick is hit always or never, at any
//! sampling rate, so its share of the samples may be anything. Exact accounting does not have this bias,
//! but it has no stacks. So the samples of each tag are scaled to the CPU time that was measured for the
//! tag, and untagged samples to the rest of the process's CPU time.

use crate::aggregate::{Aggregate, Filter, UNSAMPLED};
use crate::clock;
use davy_tag::Tag;
use rustc_hash::FxHashMap;

/// CPU time of the process and of each tag at an instant, in nanoseconds.
#[derive(Debug)]
pub(crate) struct CpuReading {
    process: u64,
    by_tag: FxHashMap<Tag, u64>,
}

impl CpuReading {
    /// Reads the CPU time up to now.
    pub(crate) fn now() -> Self {
        // The clock of the process is read last, so that time in between counts as untagged, not as negative.
        let usages = davy_tag::usage().into_iter();
        let by_tag = usages.filter(|usage| usage.cpu_nanos > 0);
        Self {
            by_tag: by_tag.map(|usage| (usage.tag, usage.cpu_nanos)).collect(),
            process: clock::process_cpu_nanos(),
        }
    }

    /// CPU time of the tags and of the process since `before`.
    fn since(&self, before: &Self) -> (FxHashMap<Tag, i64>, i64) {
        let by_tag = self.by_tag.iter().map(|(tag, nanos)| {
            let earlier = before.by_tag.get(tag).copied().unwrap_or(0);
            (*tag, nanos.saturating_sub(earlier) as i64)
        });
        let process = self.process.saturating_sub(before.process);
        (
            by_tag.filter(|(_, nanos)| *nanos > 0).collect(),
            process as i64,
        )
    }
}

/// Scales CPU samples that were taken between `before` and `now` to the CPU time of that span.
pub(crate) fn apply(
    aggregate: &mut Aggregate,
    before: &CpuReading,
    now: &CpuReading,
    filter: &Filter,
) {
    let (used, process) = now.since(before);
    let totals = totals(&sums(aggregate), used, process);
    scale(aggregate, &totals, filter);
}

/// Sampled nanoseconds by tag.
fn sums(aggregate: &Aggregate) -> FxHashMap<Tag, i64> {
    let mut sums = FxHashMap::default();
    for ((_, tag), values) in &aggregate.samples {
        *sums.entry(*tag).or_default() += values[0];
    }
    sums
}

/// The nanoseconds that the samples of each tag must add up to.
fn totals(
    sampled: &FxHashMap<Tag, i64>,
    mut used: FxHashMap<Tag, i64>,
    process: i64,
) -> FxHashMap<Tag, i64> {
    // A tag that was not measured, because its thread had it before accounting started, keeps its samples.
    for (tag, nanos) in sampled {
        if !tag.is_untagged() {
            used.entry(*tag).or_insert(*nanos);
        }
    }
    let tagged: i64 = used.values().sum();
    // Accounting takes short waits for CPU time; the sum must not exceed that of the process.
    if tagged > process {
        for nanos in used.values_mut() {
            *nanos = (*nanos as f64 * process as f64 / tagged as f64) as i64;
        }
    }
    used.insert(Tag::UNTAGGED, (process - tagged).max(0));
    used
}

fn scale(aggregate: &mut Aggregate, totals: &FxHashMap<Tag, i64>, filter: &Filter) {
    let sampled = sums(aggregate);
    let mut left = totals.clone();
    let mut largest = FxHashMap::<Tag, (i64, _)>::default();
    for (key, values) in &mut aggregate.samples {
        let tag = key.1;
        let (Some(total), Some(sum)) = (totals.get(&tag), sampled.get(&tag)) else {
            continue;
        };
        values[0] = (values[0] as f64 * *total as f64 / (*sum).max(1) as f64) as i64;
        *left.entry(tag).or_default() -= values[0];
        let largest = largest.entry(tag).or_insert((values[0], *key));
        if values[0] > largest.0 {
            *largest = (values[0], *key);
        }
    }
    for (tag, nanos) in left {
        if let Some((_, key)) = largest.get(&tag) {
            // The rounding error goes to the largest sample.
            if let Some(values) = aggregate.samples.get_mut(key) {
                values[0] += nanos;
            }
        } else if nanos > 0 && filter.keeps(tag) {
            aggregate.add(&[UNSAMPLED], false, tag, [nanos, 0, 0, 0]);
        }
    }
    aggregate.samples.retain(|_, values| values[0] > 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn check(samples: &[(Tag, i64)], used: &[(Tag, i64)], process: i64, expected: &[(Tag, i64)]) {
        let mut aggregate = Aggregate::default();
        for (at, (tag, nanos)) in samples.iter().enumerate() {
            aggregate.add(&[at as u64 + 1, 7], false, *tag, [*nanos, 0, 0, 0]);
        }
        let used = used.iter().copied().collect();
        let totals = totals(&sums(&aggregate), used, process);
        scale(&mut aggregate, &totals, &Filter::default());
        let mut sums: Vec<_> = sums(&aggregate).into_iter().collect();
        sums.sort_unstable();
        assert_eq!(sums, expected);
    }

    #[test]
    fn scaled_samples_add_up_to_the_measured_time_exactly() {
        let (a, b) = (Tag::new("control", "a"), Tag::new("control", "b"));
        let samples = [(a, 7), (a, 11), (a, 13), (b, 100), (Tag::UNTAGGED, 3)];
        let used = [(a, 5 * S + 1), (b, 2 * S)];
        let left = 3 * S - 1;
        let expected = [(Tag::UNTAGGED, left), (a, 5 * S + 1), (b, 2 * S)];
        check(&samples, &used, 10 * S, &expected);
    }

    #[test]
    fn unsampled_tag_gets_its_time_and_unmeasured_tag_keeps_its_samples() {
        let (a, b) = (
            Tag::new("control", "sampled"),
            Tag::new("control", "unsampled"),
        );
        let expected = [(Tag::UNTAGGED, 1), (a, S), (b, S)];
        check(&[(a, S)], &[(b, S)], 2 * S + 1, &expected);
    }

    #[test]
    fn members_never_exceed_the_time_of_the_process() {
        let (a, b) = (Tag::new("control", "x"), Tag::new("control", "y"));
        let samples = [(a, S), (b, S), (Tag::UNTAGGED, S)];
        check(
            &samples,
            &[(a, S), (b, 3 * S)],
            2 * S,
            &[(a, S / 2), (b, S + S / 2)],
        );
    }
}
