use super::*;
use crate::handle::{HandleFacts, MISSING_MAX};
use crate::test_random::seeds;
use davy_base::Random;

const WORKER: &str = "w";

fn handle_name(number: u64) -> String {
    format!("h{number}")
}

fn kind(number: u64) -> HandleKind {
    HandleKind::ALL[number as usize % 2]
}

fn row(worker: &str, kind: HandleKind, state: HandleState) -> Row {
    Row {
        worker: worker.to_owned(),
        handle: Handle {
            kind,
            ..Handle::new(state, 0)
        },
    }
}

fn random_rows(random: &mut Random) -> Rows {
    (0..random.below(20))
        .map(|number| {
            let worker = if random.below(4) == 0 {
                "other"
            } else {
                WORKER
            };
            let state = HandleState::ALL[random.below(4) as usize];
            let mut row = row(worker, kind(number), state);
            if state == HandleState::Created && random.below(3) == 0 {
                row.handle.missing_since = Some(0);
            }
            (handle_name(number), row)
        })
        .collect()
}

fn random_report(random: &mut Random, generation: i64) -> Report {
    let handles = (0..25)
        .filter(|_| random.below(2) == 0)
        .map(|number| (handle_name(number), kind(number)))
        .collect();
    Report {
        generation,
        handles,
        part: None,
    }
}

fn accepted(worker: &str, current: i64, rows: &Rows, report: &Report) -> Changes {
    match reconcile(worker, current, rows, report) {
        Decision::Accepted(changes) => changes,
        Decision::Stale { current } => panic!("stale; the current generation is {current}"),
    }
}

#[test]
fn generation_of_a_later_registration_is_above_all_of_an_earlier_one() {
    assert!(generation(2, 0) > generation(1, u32::MAX));
    assert_eq!(registration(generation(7, 123)), 7);
}

#[test]
fn each_difference_has_its_consequence() {
    let mut rows = Rows::new();
    let mut add = |name: &str, worker: &str, state: HandleState, missing: bool| {
        let mut row = row(worker, HandleKind::Container, state);
        row.handle.missing_since = missing.then_some(5);
        rows.insert(name.to_owned(), row);
    };
    add("absent-created", WORKER, HandleState::Created, false);
    add("absent-creating", WORKER, HandleState::Creating, false);
    add("absent-destroying", WORKER, HandleState::Destroying, false);
    add("absent-of-another", "other", HandleState::Destroying, false);
    add("back", WORKER, HandleState::Created, true);
    add("foreign", "other", HandleState::Created, false);
    add("here-destroying", WORKER, HandleState::Destroying, false);
    add("still-missing", WORKER, HandleState::Created, true);
    let handles = ["back", "foreign", "here-destroying", "unknown"];
    let report = Report {
        generation: 8,
        handles: handles
            .map(|name| (name.to_owned(), HandleKind::Container))
            .into(),
        part: None,
    };
    let container = |name: &str| (name.to_owned(), HandleKind::Container);
    assert_eq!(
        accepted(WORKER, 7, &rows, &report),
        Changes {
            removed: vec!["absent-destroying".to_owned()],
            unknown: vec![container("unknown")],
            missing: vec!["absent-created".to_owned()],
            found: vec!["back".to_owned()],
            doomed: vec![container("here-destroying"), container("unknown")],
            foreign: vec!["foreign".to_owned()],
        }
    );
}

#[test]
fn stale_generation_changes_nothing() {
    for mut random in seeds(200) {
        let rows = random_rows(&mut random);
        let current = random.below(10) as i64;
        let generation = random.below(current as u64 + 1) as i64;
        let report = random_report(&mut random, generation);
        let decision = reconcile(WORKER, current, &rows, &report);
        assert_eq!(decision, Decision::Stale { current });
    }
}

#[test]
fn rows_of_other_workers_never_change() {
    for mut random in seeds(500) {
        let mut rows = random_rows(&mut random);
        let others = |rows: &Rows| -> Rows {
            let others = rows.iter().filter(|(_, row)| row.worker != WORKER);
            others
                .map(|(name, row)| (name.clone(), row.clone()))
                .collect()
        };
        let before = others(&rows);
        let changes = accepted(WORKER, 0, &rows, &random_report(&mut random, 1));
        changes.apply(WORKER, &mut rows, 1);
        assert_eq!(others(&rows), before);
    }
}

#[test]
fn unknown_handles_heal_in_one_round() {
    for mut random in seeds(500) {
        let mut rows = random_rows(&mut random);
        let mut report = random_report(&mut random, 1);
        let changes = accepted(WORKER, 0, &rows, &report);
        changes.apply(WORKER, &mut rows, 1);
        // The worker destroys everything that it was told to before its next report.
        for (doomed, _) in &changes.doomed {
            report.handles.remove(doomed);
        }
        report.generation = 2;
        let changes = accepted(WORKER, 1, &rows, &report);
        changes.apply(WORKER, &mut rows, 2);
        assert_eq!((changes.unknown, changes.doomed), (vec![], vec![]));
        let is_own = |row: &&Row| row.worker == WORKER;
        for row in rows.values().filter(is_own) {
            assert_ne!(row.handle.state, HandleState::Destroying);
        }
        // Another equal report changes nothing.
        report.generation = 3;
        let again = accepted(WORKER, 2, &rows, &report);
        let foreign = again.foreign.clone();
        let nothing = Changes {
            foreign,
            ..Changes::default()
        };
        assert_eq!(again, nothing);
    }
}

#[test]
fn live_container_is_never_doomed_by_reports_and_silence() {
    for mut random in seeds(300) {
        let mut rows = Rows::new();
        rows.insert(
            "live".to_owned(),
            row(WORKER, HandleKind::Container, HandleState::Created),
        );
        let (mut at, mut synced_at, mut sequence) = (0, 0, 0);
        for _ in 0..50 {
            // Silence of any length, in which the worker may have been stalled.
            at += random.below(3 * MISSING_MAX as u64) as Millis;
            if random.below(2) == 0 {
                sequence += 1;
                let mut report = random_report(&mut random, sequence);
                report
                    .handles
                    .insert("live".to_owned(), HandleKind::Container);
                let changes = accepted(WORKER, sequence - 1, &rows, &report);
                assert!(changes.doomed.iter().all(|(name, _)| name != "live"));
                changes.apply(WORKER, &mut rows, at);
                synced_at = at;
            }
            let facts = HandleFacts {
                is_used: true,
                is_worker_stalled: random.below(2) == 0,
                worker_synced_at: synced_at,
                children: 0,
            };
            assert_eq!(rows["live"].handle.due(facts, at), None);
        }
    }
}

#[test]
fn report_is_bounded_and_its_handles_are_names() {
    let check = |handles: BTreeMap<String, HandleKind>| {
        let report = Report {
            generation: 1,
            handles,
            part: None,
        };
        report.check()
    };
    let one = |name: &str| BTreeMap::from([(name.to_owned(), HandleKind::Volume)]);
    assert_eq!(check(one("a-1")), Ok(()));
    assert!(matches!(check(one("../a")), Err(InvalidReport::Name(_))));
    let many = (0..=HANDLES_MAX as u64).map(|n| (handle_name(n), HandleKind::Volume));
    let count = HANDLES_MAX + 1;
    assert_eq!(check(many.collect()), Err(InvalidReport::TooMany { count }));
}

#[test]
fn worker_with_too_many_handles_reports_them_in_parts_that_cover_everything_once() {
    let all: BTreeMap<String, HandleKind> = (0..2 * HANDLES_MAX as u64 + 5)
        .map(|number| (handle_name(number), kind(number)))
        .collect();
    let mut after = String::new();
    let mut seen = BTreeMap::new();
    for expected in [HANDLES_MAX, HANDLES_MAX, 5] {
        let report = Report::of(1, all.clone(), &after);
        assert_eq!(report.check(), Ok(()));
        assert_eq!(report.handles.len(), expected);
        assert_eq!(report.totals().iter().sum::<u64>(), all.len() as u64);
        // What nobody has belongs to exactly one part.
        let part = report.part.as_ref().expect("a part");
        assert_eq!(part.covers("zz"), expected == 5);
        after = report.next().to_owned();
        seen.extend(report.handles);
    }
    assert_eq!((after.as_str(), &seen), ("", &all));
    let few = Report::of(1, [("a".to_owned(), HandleKind::Volume)].into(), "x");
    assert_eq!((few.handles.len(), few.part), (1, None));
}

#[test]
fn part_of_a_report_says_nothing_about_handles_outside_of_it() {
    let mut rows = Rows::new();
    for (name, state) in [
        ("a-created", HandleState::Created),
        ("a-destroying", HandleState::Destroying),
        ("m-created", HandleState::Created),
        ("m-destroying", HandleState::Destroying),
    ] {
        rows.insert(name.to_owned(), row(WORKER, HandleKind::Volume, state));
    }
    let part = Part {
        after: "b".to_owned(),
        ..Part::default()
    };
    let report = Report {
        generation: 1,
        handles: BTreeMap::new(),
        part: Some(part),
    };
    let volume = |name: &str| (name.to_owned(), HandleKind::Volume);
    assert_eq!(
        accepted(WORKER, 0, &rows, &report),
        Changes {
            removed: vec!["m-destroying".to_owned()],
            missing: vec!["m-created".to_owned()],
            doomed: vec![volume("a-destroying")],
            ..Changes::default()
        }
    );
    let outside = Report {
        handles: [volume("a-created")].into(),
        ..report
    };
    let handle = "a-created".to_owned();
    assert_eq!(outside.check(), Err(InvalidReport::Outside { handle }));
}

#[test]
fn children_are_destroyed_before_parents() {
    let parents = BTreeMap::from([("b", "a"), ("c", "b"), ("d", "a"), ("x", "y"), ("y", "x")]);
    let doomed: Vec<_> = ["a", "b", "c", "d", "x", "y"]
        .map(|name| (name.to_owned(), HandleKind::Volume))
        .into_iter()
        .chain([("z".to_owned(), HandleKind::Container)])
        .collect();
    let parent = |name: &str| parents.get(name).map(|parent| (*parent).to_owned());
    let rounds = rounds(&doomed, parent);
    assert_eq!(
        rounds,
        [
            vec!["z"],
            vec!["c", "d"],
            vec!["b"],
            vec!["a"],
            vec!["x", "y"]
        ]
    );
}
