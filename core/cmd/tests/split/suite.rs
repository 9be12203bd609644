//! What every placement must do.

use crate::database::with_store;
use crate::fleet::{Fleet, INTERVAL, MEMBERS, jobs, members, metrics};
use crate::http::{self, Slow};
use crate::process::text;
use davy_store::NewJob;
use std::collections::BTreeSet;

/// How long a request may hold its slot in this suite.
const SLOT: &str = "2s";

pub(crate) fn page_is_served(fleet: &mut Fleet) {
    for frontend in fleet.frontends() {
        let page = http::get(&format!("{frontend}/"));
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.content_type.starts_with("text/html"));
    }
}

pub(crate) fn pushed_profile_is_found_on_every_frontend_and_archiver(fleet: &mut Fleet) {
    std::fs::write(fleet.path().join("shop.folded"), "main;serve;pay 100\n")
        .expect("write the file");
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
        fleet.until("the pushed profile", || {
            // It fails until this process lists the service.
            let found = fleet.davy_at(address, &query);
            (found.stdout == b"main;serve;pay 1000000000\n").then_some(())
        });
    }
}

pub(crate) fn member_is_listed_once_per_host(fleet: &mut Fleet) {
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

pub(crate) fn metrics_cover_every_member(fleet: &mut Fleet) {
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
        assert_eq!(
            types.len(),
            once.len(),
            "duplicate metric family: {types:?}"
        );
    }
}

pub(crate) fn endpoint_is_disabled_and_enabled(fleet: &mut Fleet) {
    for frontend in fleet.frontends() {
        assert_eq!(jobs(frontend).expect("a response").status, 200);
    }
    text(&fleet.davy(&[
        "endpoint",
        "disable",
        "ListAllJobs",
        "--why",
        "uses too much memory",
    ]));
    everywhere(fleet, "the disabled endpoint", |frontend| {
        jobs(frontend).is_some_and(|response| response.status == 503)
    });
    for frontend in fleet.frontends() {
        let refused = jobs(frontend).expect("a response");
        let detail = refused.json()["detail"].as_str().unwrap_or("").to_owned();
        for part in [
            "ListAllJobs was disabled by operator@",
            "uses too much memory",
        ] {
            assert!(detail.contains(part), "{detail}");
        }
        assert!(members(frontend).is_some(), "other endpoints respond");
        assert_eq!(http::get(&format!("{frontend}/")).status, 200);
    }
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs", "--why", "all is well"]));
    everywhere(fleet, "the enabled endpoint", |frontend| {
        jobs(frontend).is_some_and(|response| response.status == 200)
    });
}

/// Waits until a toggle is in effect on every frontend.
fn everywhere(fleet: &Fleet, what: &str, is_in_effect: impl Fn(&str) -> bool) {
    fleet.until(&format!("{what} on every frontend"), || {
        fleet
            .frontends()
            .into_iter()
            .all(&is_in_effect)
            .then_some(())
    });
}

/// Enough that a response does not fit in the buffers between server and client.
const JOBS: usize = 1_500;
const CONFIG_BYTES: usize = 8 << 10;

pub(crate) fn limit_holds_across_frontends(fleet: &mut Fleet) {
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
        loaded.expect("load the jobs");
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
    everywhere(fleet, "the limit", |frontend| limited(frontend).is_some());

    let slow = Slow::ask(fleet.frontends()[0], "/api/v1/jobs");
    assert_eq!(slow.status, "HTTP/1.1 200");
    for frontend in fleet.frontends() {
        let refused = jobs(frontend).expect("a response");
        assert_eq!(refused.status, 429, "{frontend}");
        assert_eq!(refused.retry_after.as_deref(), Some("1"));
        assert!(members(frontend).is_some(), "other endpoints respond");
    }
    for frontend in fleet.frontends() {
        fleet.until(
            "a free slot after the slow request has lost its slot",
            || jobs(frontend).filter(|response| response.status == 200),
        );
    }
    let read = slow.read_to_end();
    assert!(
        read < JOBS * CONFIG_BYTES,
        "the connection of a slow client is closed"
    );
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    everywhere(fleet, "the removed limit", |frontend| {
        limited(frontend).is_none()
    });

    let slow = Slow::ask(fleet.frontends()[0], "/api/v1/jobs");
    assert_eq!(slow.status, "HTTP/1.1 200");
    text(&fleet.davy(&["endpoint", "disable", "ListAllJobs"]));
    everywhere(fleet, "the disabled endpoint", |frontend| {
        jobs(frontend).is_some_and(|response| response.status == 503)
    });
    let read = slow.read_to_end();
    assert!(
        read < JOBS * CONFIG_BYTES,
        "a request in progress is cut off"
    );
    text(&fleet.davy(&["endpoint", "enable", "ListAllJobs"]));
    with_store(&url, async |store| {
        store.delete_jobs("main").await.expect("delete the jobs");
    });
}

pub(crate) fn periodic_member_ticks_once_per_interval_in_the_fleet(fleet: &mut Fleet) {
    let url = fleet.database.url(fleet.path());
    let tick = || {
        with_store(&url, async |store| {
            let rows = store.ticks().await.expect("read the ticks");
            rows.into_iter().find(|tick| tick.name == "gc.processes")
        })
    };
    let before = fleet.until("a first tick", tick);
    let after = fleet.until("five ticks", || {
        tick().filter(|now| now.fence >= before.fence + 5)
    });
    let span = after.started_at.zip(before.started_at);
    let span = span.map_or(0, |(after, before)| after - before);
    let ticks = after.fence - before.fence;
    let due = span / INTERVAL.as_millis() as i64;
    assert!(ticks <= due + 1, "{ticks} ticks in {span} ms: {after:?}");
    assert!(after.error.is_none(), "{after:?}");
    let row = &fleet.rows("gc.processes")[0];
    assert_eq!(row["last_run"]["outcome"], "done", "{row}");
    assert_eq!(row["last_run"]["stale"], false, "{row}");
}

pub(crate) fn member_restarts_on_every_host(fleet: &mut Fleet) {
    let restarts = || {
        let rows = fleet.rows("gc.audit").into_iter();
        rows.map(|row| row["restarts"].as_u64().unwrap_or(0))
            .collect::<Vec<_>>()
    };
    let before = restarts();
    text(&fleet.davy(&["member", "restart", "gc.audit", "--why", "it looks stuck"]));
    fleet.until("a restart on every host", || {
        let now = restarts();
        let each = now.len() == before.len() && now.iter().zip(&before).all(|(n, b)| n > b);
        each.then_some(())
    });
    is_everywhere(fleet, "ready");
}

/// Waits until every frontend reports the member in a state on every host.
fn is_everywhere(fleet: &Fleet, state: &str) {
    let hosts = fleet.placement.hosts("gc.audit", "backend");
    for frontend in fleet.frontends() {
        fleet.until(&format!("gc.audit {state} on every host"), || {
            let rows = members(frontend)?;
            let rows = rows.iter().filter(|row| row["name"] == "gc.audit");
            let states: Vec<_> = rows.map(|row| row["state"].clone()).collect();
            // A process that has just stopped may still be listed.
            let is_reached = states.len() >= hosts && states.iter().all(|is| is == state);
            is_reached.then_some(())
        });
    }
}

pub(crate) fn disabled_member_stays_disabled_after_a_restart(fleet: &mut Fleet) {
    text(&fleet.davy(&[
        "member",
        "disable",
        "gc.audit",
        "--why",
        "it deletes too much",
    ]));
    is_everywhere(fleet, "off");
    let table = text(&fleet.davy(&["members"]));
    assert!(table.contains("disabled by operator@"), "{table}");
    assert!(table.contains("it deletes too much"), "{table}");
    fleet.restart();
    is_everywhere(fleet, "off");
    text(&fleet.davy(&["member", "enable", "gc.audit", "--why", "it is mended"]));
    is_everywhere(fleet, "ready");
}

pub(crate) fn changes_are_in_the_audit_log(fleet: &mut Fleet) {
    let changes = [
        (
            "endpoint disable",
            "ListAllJobs",
            "endpoint.disable",
            "uses too much memory",
        ),
        (
            "endpoint enable",
            "ListAllJobs",
            "endpoint.enable",
            "all is well",
        ),
        (
            "endpoint limit",
            "ListAllJobs 1",
            "endpoint.limit",
            "one at a time",
        ),
        (
            "member restart",
            "gc.audit",
            "member.restart",
            "it looks stuck",
        ),
        (
            "member disable",
            "gc.audit",
            "member.disable",
            "it deletes too much",
        ),
        ("member enable", "gc.audit", "member.enable", "it is fixed"),
    ];
    for (command, arguments, _, why) in changes {
        let words = command.split(' ').chain(arguments.split(' '));
        let arguments: Vec<&str> = words.chain(["--why", why]).collect();
        text(&fleet.davy(&arguments));
    }
    let rows = fleet.json(&["audit"]);
    let rows = rows.as_array().expect("a list");
    for (_, arguments, what, why) in changes {
        let row = rows
            .iter()
            .find(|row| row["what"] == what && row["why"] == why);
        let row = row.unwrap_or_else(|| panic!("{what} is missing: {rows:?}"));
        let name = arguments.split(' ').next().unwrap_or_default();
        assert_eq!(row["name"], name);
        assert_eq!(row["source"], "cli");
        let operator = row["operator"].as_str().unwrap_or("");
        assert!(operator.starts_with("operator@"), "{row}");
    }
    let table = text(&fleet.davy(&["audit"]));
    assert!(table.contains("it is fixed"), "{table}");
    assert!(table.contains("endpoint.limit to 1"), "{table}");
}

/// Toggles, restarts and a stop are normal operation.
pub(crate) fn normal_operation_logs_no_warning(fleet: &mut Fleet) {
    page_is_served(fleet);
    pushed_profile_is_found_on_every_frontend_and_archiver(fleet);
    endpoint_is_disabled_and_enabled(fleet);
    member_restarts_on_every_host(fleet);
    assert_no_warnings(fleet);
    disabled_member_stays_disabled_after_a_restart(fleet);
    assert_no_warnings(fleet);
}

fn assert_no_warnings(fleet: &Fleet) {
    for process in &fleet.processes {
        let log = process.log();
        for line in log.lines() {
            let is_bad = line.contains("\"WARN\"") || line.contains("\"ERROR\"");
            assert!(!is_bad, "{}: {line}", process.kind);
        }
    }
}
