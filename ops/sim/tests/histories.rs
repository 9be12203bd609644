//! Histories that must pass, histories with a broken rule that must fail, and histories that run twice.

use davy_sim::{Detail, Histories, Mutant, run, run_all};
use std::ops::Range;

#[test]
fn same_seed_gives_the_same_trace_and_the_same_bytes() {
    for seed in 1..=20 {
        let [first, again] = [(); 2].map(|()| run(seed, None, Detail::Hash));
        assert_eq!(first, again, "seed {seed}");
    }
    let [first, other] = [1, 2].map(|seed| run(seed, None, Detail::Hash).hash);
    assert_ne!(first, other);
}

#[test]
fn first_histories_violate_no_invariant() {
    let found = run_all(&Histories {
        seeds: 1..201,
        mutant: None,
    });
    assert_eq!(found.failed, None);
    let totals = found.totals;
    assert!(totals.acknowledged > 500, "{totals:?}");
    assert!(totals.answers > 500, "{totals:?}");
    assert!(totals.months > 20, "{totals:?}");
}

/// Breaks a rule, and requires that one of 1,000 histories fails.
fn check_is_detected(mutant: Mutant) {
    check_is_detected_in(1..1_001, mutant);
}

/// The same, with these histories. Nothing runs after the first that fails.
fn check_is_detected_in(seeds: Range<u64>, mutant: Mutant) {
    let found = run_all(&Histories {
        seeds,
        mutant: Some(mutant),
    });
    assert!(found.failed.is_some(), "{} is not detected", mutant.name());
}

#[test]
fn deletion_of_inputs_without_the_grace_period_is_detected() {
    check_is_detected(Mutant::NoGrace);
}

#[test]
fn reader_that_skips_the_only_block_of_a_deleted_segment_is_detected() {
    // Two archivers must have merged different parts of an hour, of which one was deleted: one of about a thousand
    // histories, which is another one with each change of the number of requests.
    check_is_detected_in(2_001..5_001, Mutant::NoStepTwo);
}

#[test]
fn window_counted_once_per_block_is_detected() {
    check_is_detected(Mutant::NoWindowIds);
}

#[test]
fn acknowledgement_before_the_segment_is_written_is_detected() {
    check_is_detected(Mutant::EarlyAcknowledgement);
}

#[test]
fn expiry_of_windows_without_a_day_block_is_detected() {
    check_is_detected(Mutant::NoDayBlock);
}

#[test]
fn incomplete_day_block_that_counts_as_complete_is_detected() {
    check_is_detected(Mutant::IncompleteDayBlock);
}

#[test]
fn meta_object_that_is_written_before_the_tables_is_detected() {
    check_is_detected(Mutant::MetaFirst);
}

#[test]
fn month_block_that_is_read_although_a_day_has_another_block_is_detected() {
    check_is_detected(Mutant::OutdatedMonthBlock);
}
