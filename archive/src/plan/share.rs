//! Which archiver does which work: a pure function of the archivers that were seen in the bucket.
//!
//! Nothing depends on it for correctness. Two archivers that disagree do the same work twice, which writes the same
//! block twice or two blocks that the reader's rule resolves.

use davy_base::Timestamp;
use std::time::Duration;

/// Time after which an archiver whose presence object was not written counts as gone.
pub const PRESENT: Duration = Duration::from_mins(5);

/// Time after which the next archiver does the work of one that has not done it.
const TAKEOVER: Duration = Duration::from_mins(10);

/// The archivers that are present, of presence objects with the times at which they were last written. Times are those
/// of the bucket, and are compared only with each other.
pub fn present(seen: &[(String, Timestamp)]) -> Vec<String> {
    let last = seen.iter().map(|(_, at)| *at).max();
    let is_present = |at: Timestamp| last.is_some_and(|last| last.since(at) < PRESENT);
    let names = seen.iter().filter(|(_, at)| is_present(*at));
    let mut names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether the archiver `own` does work with this key, which has been due for a time. By rendezvous hashing, each key
/// has its own ranking of the archivers: when one joins or leaves, only its share of the keys moves.
pub fn is_own(archivers: &[String], own: &str, key: &str, due_for: Duration) -> bool {
    let weight = |archiver: &str| order(archiver, key);
    let mine = weight(own);
    let before = archivers
        .iter()
        .filter(|other| other.as_str() != own && (weight(other), other.as_str()) > (mine, own));
    let rank = u32::try_from(before.count()).unwrap_or(u32::MAX);
    due_for >= TAKEOVER.saturating_mul(rank)
}

/// The weight of an archiver for the work with this key, by which it can also order its own work.
pub fn order(archiver: &str, key: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{archiver}\n{key}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("archiver-{at}")).collect()
    }

    fn owners<'a>(archivers: &'a [String], key: &str, due_for: Duration) -> Vec<&'a str> {
        let is_owner = |of: &&String| is_own(archivers, of, key, due_for);
        archivers
            .iter()
            .filter(is_owner)
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn each_key_has_one_archiver_and_the_load_is_even() {
        let archivers = names(4);
        let mut load = std::collections::BTreeMap::new();
        for key in 0..4_000 {
            let owners = owners(&archivers, &key.to_string(), Duration::ZERO);
            assert_eq!(owners.len(), 1, "{key}");
            *load.entry(owners[0]).or_insert(0) += 1;
        }
        assert!(
            load.values().all(|load| (800..1_200).contains(load)),
            "{load:?}"
        );
    }

    #[test]
    fn only_the_share_of_an_archiver_that_left_moves() {
        let (before, after) = (names(4), names(3));
        for key in 0..1_000 {
            let key = key.to_string();
            let owner = owners(&before, &key, Duration::ZERO)[0];
            if owner != "archiver-3" {
                assert_eq!(owners(&after, &key, Duration::ZERO), [owner]);
            }
        }
    }

    #[test]
    fn work_that_stays_undone_is_taken_over_by_the_next() {
        let archivers = names(3);
        let count = |minutes: u64| owners(&archivers, "a", Duration::from_mins(minutes)).len();
        assert_eq!([count(0), count(9), count(10), count(20)], [1, 1, 2, 3]);
        assert!(is_own(&[], "alone", "a", Duration::ZERO));
    }

    #[test]
    fn archivers_that_stopped_writing_are_not_present() {
        let at = |seconds: i64| Timestamp::from_seconds(seconds);
        let seen = [
            ("a".to_owned(), at(1_000)),
            ("b".to_owned(), at(701)),
            ("c".to_owned(), at(700)),
        ];
        assert_eq!(present(&seen), ["a", "b"]);
        assert_eq!(present(&[]), Vec::<String>::new());
    }
}
