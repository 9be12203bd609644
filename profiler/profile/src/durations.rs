//! Histograms of durations as profiles: the bucket of a duration is a frame, so that histograms are added up, kept and
//! selected like any profile.

use std::time::Duration;

/// Upper bounds of the buckets, inclusive, in microseconds. A bound is at most two thirds above the one before, so a
/// percentile that is the bound of its bucket is too high by at most that.
const BOUNDS_MICROS: [u64; 36] = [
    100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000,
    30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000, 500_000, 700_000, 1_000_000,
    1_500_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000, 10_000_000, 15_000_000, 20_000_000,
    30_000_000, 50_000_000, 70_000_000,
];

/// Number of buckets. The last one has no upper bound.
pub const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// The bucket of a duration.
pub fn bucket(duration: Duration) -> usize {
    let micros = duration.as_nanos().div_ceil(1_000);
    BOUNDS_MICROS.partition_point(|bound| u128::from(*bound) < micros)
}

/// The name of the frame of a bucket: `up to 1.5 ms`, `over 70 s`.
pub fn name(bucket: usize) -> String {
    match BOUNDS_MICROS.get(bucket) {
        Some(bound) => format!("up to {}", text(*bound)),
        None => format!("over {}", text(BOUNDS_MICROS[BUCKETS - 2])),
    }
}

/// The bucket whose frame has this name.
pub fn from_name(name: &str) -> Option<usize> {
    let is_bucket = name.starts_with("up to ") || name.starts_with("over ");
    (0..BUCKETS).find(|bucket| is_bucket && self::name(*bucket) == name)
}

/// The longest duration of a bucket. Of the last one it is its lower bound and a thousandth, so that it differs from
/// the bucket before.
pub fn upper_bound(bucket: usize) -> Duration {
    match BOUNDS_MICROS.get(bucket) {
        Some(bound) => Duration::from_micros(*bound),
        None => Duration::from_micros(BOUNDS_MICROS[BUCKETS - 2] / 1_000 * 1_001),
    }
}

/// The bucket that holds a quantile (`0.99`) of the counted durations; `None` if nothing was counted.
pub fn quantile(counts: &[u64; BUCKETS], quantile: f64) -> Option<usize> {
    let total: u64 = counts.iter().sum();
    let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
    let mut below = 0;
    counts.iter().position(|count| {
        below += count;
        total > 0 && below >= rank
    })
}

fn text(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{} ms", micros as f64 / 1e3),
        _ => format!("{} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        let check = |nanos: u64, expected: &str| {
            assert_eq!(name(bucket(Duration::from_nanos(nanos))), expected);
        };
        check(0, "up to 100 us");
        check(100_000, "up to 100 us");
        check(100_001, "up to 150 us");
        check(1_400_000, "up to 1.5 ms");
        check(3_000_000_000, "up to 3 s");
        check(70_000_000_000, "up to 70 s");
        check(70_000_000_001, "over 70 s");
        check(u64::MAX, "over 70 s");
    }

    #[test]
    fn every_name_is_read_back_and_bounds_grow() {
        for bucket in 0..BUCKETS {
            assert_eq!(from_name(&name(bucket)), Some(bucket));
        }
        for pair in 0..BUCKETS - 1 {
            assert!(upper_bound(pair) < upper_bound(pair + 1));
        }
        for other in ["", "up to", "up to 1 ns", "main", "over 1 s"] {
            assert_eq!(from_name(other), None, "{other}");
        }
    }

    #[test]
    fn quantile_is_the_bucket_of_the_ranked_duration() {
        let mut counts = [0; BUCKETS];
        assert_eq!(quantile(&counts, 0.99), None);
        counts[3] = 99;
        counts[7] = 1;
        assert_eq!(quantile(&counts, 0.99), Some(3));
        counts[7] = 2;
        assert_eq!(quantile(&counts, 0.99), Some(7));
        assert_eq!(quantile(&counts, 0.5), Some(3));
    }
}
