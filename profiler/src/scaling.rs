//! Scales CPU samples to exact accounting: samples show where CPU time was spent, accounting how much.
//!
//! A CPU timer fires at the kernel's tick. Work in step with the tick is hit always or never, at any
//! sampling rate, so its share of the samples may be anything. Exact accounting does not have this bias,
//! but it has no stacks. So the samples of each tag are scaled to the CPU time that was measured for the
//! tag, and untagged samples to the rest of the process's CPU time.
//!
//! A tag that uses little CPU time has no sample in most windows. Its time is carried to the window of its next
//! sample, as the weight of that sample. What is carried for too long has no stack.

use crate::aggregate::{Aggregate, Filter};
use crate::clock;
use davy_tag::Tag;
use rustc_hash::FxHashMap;
use std::time::Duration;

/// Maximum time for which CPU time waits for a sample of its tag.
const CARRY_MAX: Duration = Duration::from_mins(1);

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
    pub(crate) fn since(&self, before: &Self) -> CpuUse {
        let by_tag = self.by_tag.iter().map(|(tag, nanos)| {
            let earlier = before.by_tag.get(tag).copied().unwrap_or(0);
            (*tag, nanos.saturating_sub(earlier) as i64)
        });
        let process = self.process.saturating_sub(before.process);
        CpuUse {
            by_tag: by_tag.filter(|(_, nanos)| *nanos > 0).collect(),
            process: process as i64,
        }
    }
}

/// CPU time in nanoseconds, of tags and of the process.
#[derive(Debug, Default)]
pub(crate) struct CpuUse {
    by_tag: FxHashMap<Tag, i64>,
    process: i64,
}

/// CPU time by tag that has no samples, in nanoseconds.
pub(crate) type Remainder = Vec<(Tag, i64)>;

/// Scales CPU samples to the CPU time of their span. Returns the time of tags without samples.
pub(crate) fn apply(aggregate: &mut Aggregate, used: CpuUse, filter: &Filter) -> Remainder {
    let totals = totals(&sums(aggregate), used.by_tag, used.process);
    scale(aggregate, &totals, filter)
}

/// Adds CPU time without a stack.
pub(crate) fn add_remainder(
    aggregate: &mut Aggregate,
    remainder: impl IntoIterator<Item = (Tag, i64)>,
) {
    for (tag, nanos) in remainder {
        aggregate.add(&[], false, tag, [nanos, 0, 0, 0]);
    }
}

/// CPU time of tags that waits for their next sample.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    /// Nanoseconds, and when they began to wait.
    by_tag: FxHashMap<Tag, (i64, Duration)>,
    has_given_up: bool,
}

impl Carry {
    /// From now on nothing is carried: there are no more windows.
    pub(crate) fn give_up(&mut self) {
        self.has_given_up = true;
    }

    /// Adds what has been carried to the CPU time of a window.
    pub(crate) fn add_to(&self, mut used: CpuUse) -> CpuUse {
        for (tag, (nanos, _)) in &self.by_tag {
            used.process += nanos;
            if !tag.is_untagged() {
                *used.by_tag.entry(*tag).or_default() += nanos;
            }
        }
        used
    }

    /// Carries the remainder of a window that ends at the monotonic instant `now`. The part that has been carried for
    /// too long is added to the window.
    pub(crate) fn keep(&mut self, aggregate: &mut Aggregate, remainder: Remainder, now: Duration) {
        let before = std::mem::take(&mut self.by_tag);
        for (tag, nanos) in remainder {
            let since = before.get(&tag).map_or(now, |(_, since)| *since);
            if self.has_given_up || now >= since + CARRY_MAX {
                add_remainder(aggregate, [(tag, nanos)]);
            } else {
                self.by_tag.insert(tag, (nanos, since));
            }
        }
    }
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

fn scale(aggregate: &mut Aggregate, totals: &FxHashMap<Tag, i64>, filter: &Filter) -> Remainder {
    let sampled = sums(aggregate);
    let mut left = totals.clone();
    let mut largest = FxHashMap::<Tag, (i64, _)>::default();
    let scaled = |tag: Tag, nanos: i64| {
        let (total, sum) = (totals.get(&tag)?, sampled.get(&tag)?);
        Some((nanos as f64 * *total as f64 / (*sum).max(1) as f64) as i64)
    };
    for ((_, tag, _), nanos) in &mut aggregate.spans {
        *nanos = scaled(*tag, *nanos).unwrap_or(*nanos);
    }
    for (key, values) in &mut aggregate.samples {
        let tag = key.1;
        let Some(nanos) = scaled(tag, values[0]) else {
            continue;
        };
        values[0] = nanos;
        *left.entry(tag).or_default() -= values[0];
        let largest = largest.entry(tag).or_insert((values[0], *key));
        if values[0] > largest.0 {
            *largest = (values[0], *key);
        }
    }
    let mut remainder = Remainder::new();
    for (tag, nanos) in left {
        if let Some((_, key)) = largest.get(&tag) {
            // The rounding error goes to the largest sample.
            if let Some(values) = aggregate.samples.get_mut(key) {
                values[0] += nanos;
            }
        } else if nanos > 0 && filter.keeps(tag) {
            remainder.push((tag, nanos));
        }
    }
    aggregate.samples.retain(|_, values| values[0] > 0);
    remainder
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn cpu(used: &[(Tag, i64)], process: i64) -> CpuUse {
        let by_tag = used.iter().copied().collect();
        CpuUse { by_tag, process }
    }

    fn check(samples: &[(Tag, i64)], used: &[(Tag, i64)], process: i64, expected: &[(Tag, i64)]) {
        let mut aggregate = Aggregate::default();
        for (at, (tag, nanos)) in samples.iter().enumerate() {
            aggregate.add(&[at as u64 + 1, 7], false, *tag, [*nanos, 0, 0, 0]);
        }
        let left = apply(&mut aggregate, cpu(used, process), &Filter::default());
        add_remainder(&mut aggregate, left);
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

    #[test]
    fn time_without_samples_is_carried_to_the_next_sample_of_its_tag_or_has_no_stack() {
        let (rare, never) = (Tag::new("carry", "rare"), Tag::new("carry", "never"));
        let mut carry = Carry::default();
        // Windows of ten seconds in which each tag uses one second. Returns the time with a stack and without one.
        let mut window = |at: u64, sampled: &[Tag]| {
            let mut aggregate = Aggregate::default();
            for tag in sampled {
                aggregate.add(&[1], false, *tag, [7, 0, 0, 0]);
            }
            let used = carry.add_to(cpu(&[(rare, S), (never, S)], 2 * S));
            let left = apply(&mut aggregate, used, &Filter::default());
            carry.keep(&mut aggregate, left, Duration::from_secs(at));
            let of = |tag: Tag, has_stack: bool| -> i64 {
                let samples = aggregate.samples.iter().filter(|((node, of), _)| {
                    *of == tag && (*node != davy_profile::NodeId::ROOT) == has_stack
                });
                samples.map(|(_, values)| values[0]).sum()
            };
            (
                of(rare, true),
                of(rare, false) + of(never, true),
                of(never, false),
            )
        };
        assert_eq!(window(10, &[]), (0, 0, 0));
        assert_eq!(window(20, &[]), (0, 0, 0));
        assert_eq!(window(30, &[rare]), (3 * S, 0, 0));
        assert_eq!(window(40, &[rare]), (S, 0, 0));
        assert_eq!(window(60, &[rare]), (S, 0, 0));
        assert_eq!(window(70, &[rare]), (S, 0, 6 * S), "carried for a minute");
        assert_eq!(window(80, &[rare]), (S, 0, 0));
    }
}
