//! Histories in which nothing may be wrong, histories in which something must be, and one that is repeated.

use davy_sim::{Detail, Histories, Mutant, run, run_all};

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
fn nothing_is_wrong_in_the_first_histories() {
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

/// Breaks a rule, and requires that it is found within 1,000 histories.
fn check_is_found(mutant: Mutant) {
    let found = run_all(&Histories {
        seeds: 1..1_001,
        mutant: Some(mutant),
    });
    assert!(found.failed.is_some(), "{} is not found", mutant.name());
}

#[test]
fn deletion_of_inputs_without_the_grace_period_is_found() {
    check_is_found(Mutant::NoGrace);
}

#[test]
fn readers_rule_without_its_second_step_is_found() {
    check_is_found(Mutant::NoStepTwo);
}

#[test]
fn window_that_counts_in_each_piece_is_found() {
    check_is_found(Mutant::NoWindowIds);
}

#[test]
fn acknowledgement_before_the_segment_is_written_is_found() {
    check_is_found(Mutant::EarlyAcknowledgement);
}

#[test]
fn expiry_of_windows_without_a_day_block_is_found() {
    check_is_found(Mutant::NoDayBlock);
}

#[test]
fn day_block_that_lacks_late_windows_but_counts_as_complete_is_found() {
    check_is_found(Mutant::IncompleteDayBlock);
}

#[test]
fn meta_object_that_is_written_before_the_tables_is_found() {
    check_is_found(Mutant::MetaFirst);
}

#[test]
fn month_block_that_is_read_although_a_day_has_another_block_is_found() {
    check_is_found(Mutant::OutdatedMonthBlock);
}
