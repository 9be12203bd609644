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
    assert!(totals.answers > 1_000, "{totals:?}");
}

/// The number of histories until the mutant is found.
fn histories_until_found(mutant: Mutant) -> u64 {
    let found = run_all(&Histories {
        seeds: 1..1_001,
        mutant: Some(mutant),
    });
    assert!(found.failed.is_some(), "{} is not found", mutant.name());
    found.histories
}

#[test]
fn every_broken_rule_is_found_within_1_000_histories() {
    for mutant in Mutant::ALL {
        let histories = histories_until_found(mutant);
        println!("{} found after {histories} histories", mutant.name());
    }
}
