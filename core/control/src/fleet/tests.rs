use super::*;
use crate::report::{KernelStatistics, MemberReport};
use crate::test_control::control_on;
use crate::usage::Usage;
use davy_base::Clock;
use davy_store::{NewProcess, Outcome, Store};
use tempfile::TempDir;
use ulid::Ulid;

/// By how much the clock of a host differs from the database's.
const SKEW: Duration = Duration::from_mins(10);

/// Writes the report of another process, whose clock shows `at`, and a run of two periodic members:
/// `gc.fresh` succeeded just now, `gc.late` five intervals ago.
async fn report_and_run(store: &Store, at: Timestamp) {
    let id = Ulid(8);
    let process = NewProcess {
        id,
        kind: "archiver".to_owned(),
        host: "shop-2".to_owned(),
        pid: 9,
        version: "0".to_owned(),
        parent: None,
        debug: None,
    };
    store.process_started(&process).await.expect("a database");
    let member = MemberReport {
        name: "archive.query".to_owned(),
        state: "ready".to_owned(),
        since: at.minus(Duration::from_secs(30)).millis(),
        restarts: 0,
        leaked: 0,
        child_pid: None,
        cgroup: None,
        error: None,
        note: None,
        connections: None,
        usage: Usage::default(),
        operations: Vec::new(),
    };
    let report = Report {
        id: id.to_string(),
        process: process.kind,
        host: process.host,
        pid: process.pid,
        debug: String::new(),
        at: at.millis(),
        kernel: KernelStatistics::default(),
        members: vec![member],
    };
    let report = serde_json::to_string(&report).expect("serialize the report");
    let is_written = store.process_report(&id.to_string(), &report).await;
    assert!(is_written.expect("a database"));
    let interval = 60_000;
    let now = store.now().await.expect("a database").millis();
    for (name, ended) in [("gc.fresh", now), ("gc.late", now - 5 * interval)] {
        let claim = store.claim(name, "8", ended, interval, 1_000).await;
        let claim = claim.expect("a database").expect("the tick is due");
        let finished = store.finish(name, claim.fence, ended, Outcome::Done, None);
        assert!(finished.await.expect("a database"));
    }
}

/// Checks the ages that a process on a host with this clock shows, of a process on a host with the clock
/// `other`.
async fn check_ages(clock: Clock, other: Timestamp) {
    let folder = TempDir::new().expect("a scratch folder");
    let control = control_on(&folder, clock.clone()).await;
    report_and_run(&control.0.store, other).await;

    let rows = control.member_rows().await;
    let row = rows.iter().find(|row| row.member.name == "archive.query");
    let row = row.expect("the other process reported");
    assert!(row.age_seconds < 60.0, "{row:?}");
    assert!(
        (30.0..90.0).contains(&row.since_seconds),
        "in its state for {} s",
        row.since_seconds
    );
    let stale = control.degraded().await.into_iter();
    let stale: Vec<String> = stale.map(|issue| issue.member).collect();
    assert_eq!(stale, ["gc.late"]);

    // While the database is unreachable, the last report gets older.
    let lost = davy_store::Error::Timeout {
        database: "test".to_owned(),
        seconds: 1,
    };
    control.observe_database(&Err::<(), _>(lost));
    clock.advance(Duration::from_mins(2));
    let rows = control.member_rows().await;
    let row = rows.iter().find(|row| row.member.name == "archive.query");
    let age = row.expect("the last report is kept").age_seconds;
    assert!((120.0..180.0).contains(&age), "{age}");
}

#[tokio::test]
async fn host_with_a_fast_clock_shows_ages_by_the_clock_of_the_database() {
    let now = Clock::system().now();
    check_ages(Clock::manual(now.plus(SKEW)), now.minus(SKEW)).await;
}

#[tokio::test]
async fn host_with_a_slow_clock_shows_ages_by_the_clock_of_the_database() {
    let now = Clock::system().now();
    check_ages(Clock::manual(now.minus(SKEW)), now.plus(SKEW)).await;
}
