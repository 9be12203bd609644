//! What every placement must do, whatever runs where.

use crate::database::with_store;
use crate::fleet::{Fleet, INTERVAL, MEMBERS, jobs, members, metrics};
use crate::http::{self, Slow};
use crate::process::{PATIENCE, text, within};
use davy_store::NewJob;
use std::collections::BTreeSet;
use std::time::Duration;

/// In which every process obeys a toggle, and how far looks for that may lie apart.
const OBEYED: Duration = Duration::from_millis(1_000 + 300);
/// How long a request may hold its place in this suite.
const SLOT: &str = "2s";

/// Asks everything.
pub(crate) fn check(mut fleet: Fleet) {
    the_page_answers(&fleet);
    a_profile_is_pushed_and_found(&fleet);
    every_member_is_listed_once_for_each_host(&fleet);
    figures_name_every_member(&fleet);
    an_endpoint_is_disabled_and_on(&fleet);
    a_limit_holds_over_all_frontends(&fleet);
    periodic_members_run_once_in_the_fleet(&fleet);
    a_member_is_restarted(&fleet);
    a_disabled_member_stays_off(&mut fleet);
    every_change_is_in_the_audit(&fleet);
    nobody_complains(&fleet);
    fleet.stop();
}

fn the_page_answers(fleet: &Fleet) {
    for frontend in fleet.frontends() {
        let page = http::get(&format!("{frontend}/"));
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.content_type.starts_with("text/html"));
    }
}

fn a_profile_is_pushed_and_found(fleet: &Fleet) {
    std::fs::write(fleet.path().join("shop.folded"), "main;serve;pay 100\n").expect("a file");
    text(&fleet.davy_at(fleet.archive(), &["push", "shop.folded"]));
    let query = [
        "query",
        "cpu",
        "--selector",
        "{service_name=\"shop\"}",
        "--format",
        "folded",
    ];
    for address in fleet.frontends().into_iter().chain([fleet.archive()]) {
        fleet.until("the profile that was pushed", || {
            let found = fleet.davy_at(address, &query);
            (text(&found) == "main;serve;pay 1000000000\n").then_some(())
        });
    }
}

fn every_member_is_listed_once_for_each_host(fleet: &Fleet) {
    let rows = fleet.json(&["members"]);
    let rows = rows.as_array().expect("a list");
    let mut hosts = BTreeSet::new();
    for row in rows.iter().filter(|row| row["state"] != "-") {
        assert_eq!(row["state"], "ready", "{row}");
        let host = (row["pid"].to_string(), row["name"].to_string());
        assert!(hosts.insert(host), "listed twice: {row}");
    }
    let table = text(&fleet.davy(&["members"]));
    for (member, home) in MEMBERS {
        let expected = fleet.placement.hosts(member, home);
        assert_eq!(fleet.rows(member).len(), expected, "{member}: {rows:?}");
        let lines = table
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(member));
        assert_eq!(lines.count(), expected, "{table}");
    }
}

fn figures_name_every_member(fleet: &Fleet) {
    for process in &fleet.processes {
        let lines = metrics(&process.debug);
        let is_up = |member: &str| {
            let label = format!("member=\"{member}\"");
            let mut up = lines
                .iter()
                .filter(|line| line.starts_with("davy_member_up{") && line.contains(&label));
            up.any(|line| line.ends_with(" 1"))
        };
        for (member, home) in MEMBERS {
            let is_here = process.kind.starts_with("quickstart") || process.kind == home;
            let missing = is_here && !is_up(member);
            assert!(!missing, "{}: {member}: {}", process.kind, lines.join("\n"));
        }
        assert!(is_up("control"), "{}", lines.join("\n"));
        let types: Vec<_> = lines.iter().filter(|l| l.starts_with("# TYPE")).collect();
        let once: BTreeSet<_> = types.iter().collect();
        assert_eq!(types.len(), once.len(), "a family comes twice: {types:?}");
    }
}

fn an_endpoint_is_disabled_and_on(fleet: &Fleet) {
    for frontend in fleet.frontends() {
        assert_eq!(jobs(frontend).expect("it answers").status, 200);
    }
    text(&fleet.davy(&[
        "endpoint",
        "disable",
        "ListAllJobs",
        "--why",
        "it eats memory",
    ]));
    obeyed(fleet, "a toggled-off endpoint", |frontend| {
        jobs(frontend).is_some_and(|answer| answer.status == 503)
    });
    for frontend in fleet.frontends() {
        let refused = jobs(frontend).expect("it answers");
        let detail = refused.json()["detail"].as_str().unwrap_or("").to_owned();
        for part in ["ListAllJobs was disabled by operator@", "it eats memory"] {
            assert!(detail.contains(part), "{detail}");
        }
        assert!(members(frontend).is_some(), "others answer");
        assert_eq!(http::get(&format!("{frontend}/")).status, 200);
    }
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs", "--why", "all is well"]));
    obeyed(fleet, "a toggled-on endpoint", |frontend| {
        jobs(frontend).is_some_and(|answer| answer.status == 200)
    });
}

/// Something that is toggled is so at every frontend in time.
fn obeyed(fleet: &Fleet, what: &str, is_so: impl Fn(&str) -> bool) {
    let everywhere = || fleet.frontends().into_iter().all(&is_so).then_some(());
    let found = within(OBEYED, everywhere);
    assert!(found.is_some(), "{what}: not everywhere after {OBEYED:?}");
}

/// Enough that an answer does not fit into the buffers between server and client.
const JOBS: usize = 1_500;
const CONFIG_BYTES: usize = 8 << 10;

fn a_limit_holds_over_all_frontends(fleet: &Fleet) {
    let config = format!("\"{}\"", "x".repeat(CONFIG_BYTES));
    let job = |number| NewJob {
        team: "main".to_owned(),
        pipeline: "large".to_owned(),
        name: format!("job-{number}"),
        paused: false,
        config: config.clone(),
        last_build: None,
        next_build: None,
    };
    let url = fleet.database.url(fleet.path());
    with_store(&url, async |store| {
        let loaded = store.load_jobs((0..JOBS).map(job)).await;
        loaded.expect("the jobs are stored");
    });
    text(&fleet.davy(&[
        "endpoint",
        "limit",
        "ListAllJobs",
        "1",
        "--slot",
        SLOT,
        "--why",
        "one at a time",
    ]));
    let limited = |frontend: &str| {
        let rows = http::try_get(&format!("{frontend}/api/v1/endpoints"))?.json();
        let rows = rows.as_array()?.clone();
        let row = rows
            .into_iter()
            .find(|row| row["operation"] == "ListAllJobs")?;
        (row["toggle"]["limit"] == 1).then_some(())
    };
    obeyed(fleet, "a limit", |frontend| limited(frontend).is_some());

    let slow = Slow::ask(fleet.frontends()[0], "/api/v1/jobs");
    assert_eq!(slow.status, "HTTP/1.1 200");
    for frontend in fleet.frontends() {
        let refused = jobs(frontend).expect("it answers");
        assert_eq!(refused.status, 429, "{frontend}");
        assert_eq!(refused.retry_after.as_deref(), Some("1"));
        assert!(members(frontend).is_some(), "others answer");
    }
    for frontend in fleet.frontends() {
        fleet.until("a place, when the time of the slow one is over", || {
            jobs(frontend).filter(|answer| answer.status == 200)
        });
    }
    let read = slow.read_to_end();
    assert!(read < JOBS * CONFIG_BYTES, "a slow client is cut off");
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    obeyed(fleet, "no limit", |frontend| limited(frontend).is_none());

    let slow = Slow::ask(fleet.frontends()[0], "/api/v1/jobs");
    assert_eq!(slow.status, "HTTP/1.1 200");
    text(&fleet.davy(&["endpoint", "disable", "ListAllJobs"]));
    obeyed(fleet, "a toggled-off endpoint", |frontend| {
        jobs(frontend).is_some_and(|answer| answer.status == 503)
    });
    let read = slow.read_to_end();
    assert!(read < JOBS * CONFIG_BYTES, "what is under way is cut off");
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    with_store(&url, async |store| {
        store.delete_jobs("main").await.expect("the jobs go");
    });
}

fn periodic_members_run_once_in_the_fleet(fleet: &Fleet) {
    let url = fleet.database.url(fleet.path());
    let tick = || {
        with_store(&url, async |store| {
            let ticks = store.ticks().await.expect("the database answers");
            let tick = ticks.into_iter().find(|tick| tick.name == "gc.processes");
            tick.expect("it has run")
        })
    };
    let before = tick();
    let after = fleet.until("five runs", || {
        let now = tick();
        (now.fence >= before.fence + 5).then_some(now)
    });
    let span = after.started_at.zip(before.started_at);
    let span = span.map_or(0, |(after, before)| after - before);
    let runs = after.fence - before.fence;
    let due = span / INTERVAL.as_millis() as i64;
    assert!(runs <= due + 1, "{runs} runs in {span} ms: {after:?}");
    assert!(after.error.is_none(), "{after:?}");
    let row = &fleet.rows("gc.processes")[0];
    assert_eq!(row["last_run"]["outcome"], "done", "{row}");
    assert_eq!(row["last_run"]["stale"], false, "{row}");
}

fn a_member_is_restarted(fleet: &Fleet) {
    let restarts = || {
        let rows = fleet.rows("gc.audit").into_iter();
        rows.map(|row| row["restarts"].as_u64().unwrap_or(0))
            .collect::<Vec<_>>()
    };
    let before = restarts();
    text(&fleet.davy(&["member", "restart", "gc.audit", "--why", "it looks stuck"]));
    fleet.until("a restart in every host", || {
        let now = restarts();
        let each = now.len() == before.len() && now.iter().zip(&before).all(|(n, b)| n > b);
        each.then_some(())
    });
    is_everywhere(fleet, "ready");
}

/// Waits until the member is in a state in every host, as every frontend sees it.
fn is_everywhere(fleet: &Fleet, state: &str) {
    let hosts = fleet.placement.hosts("gc.audit", "backend");
    for frontend in fleet.frontends() {
        fleet.until(&format!("gc.audit {state} in every host"), || {
            let rows = members(frontend)?;
            let rows = rows.iter().filter(|row| row["name"] == "gc.audit");
            let states: Vec<_> = rows.map(|row| row["state"].clone()).collect();
            // What stopped a moment ago may still be listed.
            let is_so = states.len() >= hosts && states.iter().all(|is| is == state);
            is_so.then_some(())
        });
    }
}

fn a_disabled_member_stays_off(fleet: &mut Fleet) {
    text(&fleet.davy(&[
        "member",
        "disable",
        "gc.audit",
        "--why",
        "it deletes too much",
    ]));
    is_everywhere(fleet, "off");
    let table = text(&fleet.davy(&["members"]));
    assert!(table.contains("off by operator@"), "{table}");
    assert!(table.contains("it deletes too much"), "{table}");
    fleet.restart();
    is_everywhere(fleet, "off");
    text(&fleet.davy(&["member", "enable", "gc.audit", "--why", "it is mended"]));
    is_everywhere(fleet, "ready");
}

fn every_change_is_in_the_audit(fleet: &Fleet) {
    let rows = fleet.json(&["audit"]);
    let rows = rows.as_array().expect("a list");
    for (what, name, why) in [
        ("endpoint.disable", "ListAllJobs", "it eats memory"),
        ("endpoint.clear", "ListAllJobs", "all is well"),
        ("endpoint.limit", "ListAllJobs", "one at a time"),
        ("member.restart", "gc.audit", "it looks stuck"),
        ("member.disable", "gc.audit", "it deletes too much"),
        ("member.clear", "gc.audit", "it is mended"),
    ] {
        let row = rows
            .iter()
            .find(|row| row["what"] == what && row["why"] == why);
        let row = row.unwrap_or_else(|| panic!("{what} is missing: {rows:?}"));
        assert_eq!(row["name"], name);
        assert_eq!(row["source"], "cli");
        let who = row["who"].as_str().unwrap_or("");
        assert!(who.starts_with("operator@"), "{row}");
    }
    let found = within(PATIENCE, || {
        Some(text(&fleet.davy(&["audit"]))).filter(|table| table.contains("it is mended"))
    });
    assert!(found.is_some());
}

/// In a log of a good day there is no warning.
fn nobody_complains(fleet: &Fleet) {
    for process in &fleet.processes {
        let log = process.log();
        for line in log.lines() {
            let is_bad = line.contains("\"WARN\"") || line.contains("\"ERROR\"");
            assert!(!is_bad, "{}: {line}", process.kind);
        }
    }
}
