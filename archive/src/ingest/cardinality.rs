//! Replaces labels of profiles whose tenant has too many series by `(overflow)`.

use super::decode::Decoded;
use super::label_sets::SampleLabels;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Hour, Tenant};
use crate::labels::{Labels, NAME, SERVICE};
use crate::limits::{CountSeries, LiveLimits, SeriesLabels, hash, name};
use std::sync::Arc;
use std::time::Duration;

/// The value of replaced labels.
const OVERFLOW: &str = "(overflow)";

/// Replaces labels by `(overflow)` where the series would be more than the tenant may have in the hour. Samples stay as
/// they are, so all totals do. Fails if not even series without labels are left.
pub(super) fn limit_series(
    limits: &LiveLimits,
    tenant: &Tenant,
    decoded: &mut Decoded,
) -> Result<()> {
    let hour = Hour::of(decoded.start);
    let used = used(decoded);
    let overflowed = limits.series(tenant, hour, |count| {
        let kinds: Vec<u64> = decoded.kinds.iter().map(|kind| hash([&**kind])).collect();
        let (source, of_source) = source(decoded, &kinds, count)?;
        let mut overflowed = 0;
        if let Some(source) = source {
            decoded.source = Arc::new(source);
            overflowed += kinds.len();
        }
        let sets = &mut decoded.labels.sets;
        for (labels, used) in sets.iter_mut().zip(used.chunks(kinds.len())) {
            let used = kinds.iter().zip(used).filter(|(_, used)| **used);
            let kinds: Vec<u64> = used.map(|(kind, _)| *kind).collect();
            // Series without labels were counted with the source.
            if labels.labels.is_empty() || kinds.is_empty() {
                continue;
            }
            let keys = |labels: &Labels| keys(of_source, &kinds, labels);
            if count(SeriesLabels::Whole, &keys(&labels.labels)) {
                continue;
            }
            let mut kept = overflow(&labels.labels, &[]);
            if !count(SeriesLabels::Overflow, &keys(&kept)) {
                kept = Labels::default();
            }
            *labels = SampleLabels {
                labels: Arc::new(kept),
                numbers: Vec::new(),
            };
            overflowed += kinds.len();
        }
        Some(overflowed)
    });
    let Some(overflowed) = overflowed else {
        let mut error = Error::over(
            ErrorKind::Busy,
            name::SERIES,
            format!(
                "the tenant has too many services and profile types in this hour, even without labels ({}); push fewer, or ask the operator to raise the limit",
                name::SERIES
            ),
        );
        // The next hour has room again.
        error.retry_after = Some(Duration::from_mins(1));
        return Err(error);
    };
    if overflowed > 0 {
        limits.overflowed(tenant, overflowed as u64);
    }
    Ok(())
}

/// Counts the series without sample labels. Returns the labels of the source if they were replaced, and their hash.
/// `None` if nothing fits.
fn source(
    decoded: &Decoded,
    kinds: &[u64],
    count: &mut CountSeries<'_>,
) -> Option<(Option<Labels>, u64)> {
    let none = Labels::default();
    let mut fits = |labels, source| count(labels, &keys(source, kinds, &none));
    let whole = hash_of(&decoded.source);
    if fits(SeriesLabels::Whole, whole) {
        return Some((None, whole));
    }
    let named = overflow(&decoded.source, &[SERVICE, NAME]);
    let nameless = [(SERVICE, OVERFLOW), (NAME, decoded.source.get(NAME))];
    let nameless = nameless.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut overflowed = [named, Labels::from_pairs(nameless)].into_iter();
    overflowed.find_map(|labels| {
        let source = hash_of(&labels);
        fits(SeriesLabels::Overflow, source).then_some((Some(labels), source))
    })
}

/// These labels with the value `(overflow)`, except some.
fn overflow(labels: &Labels, kept: &[&str]) -> Labels {
    let pairs = labels.iter().map(|(name, value)| {
        let value = if kept.contains(&name) {
            value
        } else {
            OVERFLOW
        };
        (name.to_owned(), value.to_owned())
    });
    Labels::from_pairs(pairs)
}

fn hash_of(labels: &Labels) -> u64 {
    hash(labels.iter().flat_map(|(name, value)| [name, value]))
}

/// The keys of the series of some types that have these labels besides those of their source.
fn keys(source: u64, kinds: &[u64], labels: &Labels) -> Vec<u64> {
    let both = source ^ hash_of(labels).rotate_left(42);
    kinds
        .iter()
        .map(|kind| kind.rotate_left(21) ^ both)
        .collect()
}

/// Whether each stored set of labels has samples of each type.
fn used(decoded: &Decoded) -> Vec<bool> {
    let (width, samples) = (decoded.kinds.len(), &decoded.profile.samples);
    let labels = &decoded.labels;
    let mut used = vec![false; labels.sets.len() * width];
    for (values, set) in samples.values.chunks_exact(width).zip(&samples.labels) {
        let set = labels.of_set[set.0 as usize] as usize * width;
        for (of, value) in values.iter().enumerate() {
            used[set + of] |= *value != 0;
        }
    }
    used
}
