//! What changed since an hour, a day and a week ago, whichever level holds the earlier ranges.

use super::days::{DAY, HOUR, compact, keys, start};
use crate::support::{World, options, profile};
use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Timestamp};
use davy_profile::{Function, Line, Profile, gzip, pprof};
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Requests of an operation whose durations are in one bucket, and how many of them failed.
type Requests<'a> = (&'a str, &'a str, &'a str, i64, i64);

/// A profile of requests, as the profiler makes it.
fn requests(at: Timestamp, samples: &[Requests<'_>]) -> Vec<u8> {
    let mut profile = Profile::new();
    for kind in ["errors", "requests"] {
        profile.add_sample_type(kind, "count");
    }
    profile.time_nanos = at.nanos();
    profile.duration_nanos = 10_000_000_000;
    for (member, op, bucket, requests, errors) in samples {
        let name = profile.strings.intern(bucket);
        let function = profile.function(Function {
            name,
            ..Function::default()
        });
        let line = Line {
            function,
            line: 0,
            column: 0,
        };
        let location = profile.location(None, 0, &[line]);
        let stack = profile.stack([location]);
        let labels = profile.text_labels(&[("member", member), ("op", op)]);
        profile.add_sample(stack, labels, &[*errors, *requests]);
    }
    gzip::compress(&pprof::encode(&profile))
}

/// Pushes windows of ten seconds for a minute: CPU seconds and bytes by member, and requests.
async fn push_minute(
    world: &World,
    at: Timestamp,
    usage: &[(&str, i64, i64)],
    of: &[Requests<'_>],
) {
    for window in 0..6u64 {
        let at = at.plus(Duration::from_secs(window * 10));
        let clock = Clock::manual(at);
        let labels: Vec<[(&str, &str); 1]> = usage
            .iter()
            .map(|(member, ..)| [("member", *member)])
            .collect();
        let samples = |value: fn(&(&str, i64, i64)) -> i64| -> Vec<_> {
            let pairs = usage.iter().zip(&labels);
            pairs
                .map(|(of, labels)| (&["main", "work"][..], value(of), &labels[..]))
                .collect()
        };
        let cpu = profile(
            &clock,
            ("cpu", "nanoseconds"),
            ("cpu", "nanoseconds"),
            &samples(|of| of.1 * 1_000_000_000),
        );
        let heap = profile(
            &clock,
            ("inuse_space", "bytes"),
            ("space", "bytes"),
            &samples(|of| of.2),
        );
        let requests = requests(at, of);
        for (name, raw) in [
            ("process_cpu", cpu),
            ("memory", heap),
            ("requests", requests),
        ] {
            let labels = [("service_name", "web"), ("__name__", name)];
            let id = format!("{name}{}", at.millis());
            let (status, body) = world.push("anonymous", &labels, &id, &raw).await;
            assert_eq!(status, 200, "{body}");
        }
    }
}

/// Keeps windows for longer than the farthest range, and merges at once.
fn world(now: Timestamp) -> World {
    let mut options = options(Arc::new(InMemory::new()), &Clock::manual(now));
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.levels = Retention {
        windows: DAY * 14,
        hours: DAY * 90,
        days: DAY * 731,
    };
    World::with(options)
}

/// `member measure kind now before`, ranked.
fn said(answer: &Value) -> Vec<String> {
    let against = answer["against"].as_str().unwrap_or_default();
    let changes = answer["changes"].as_array().expect("changes");
    let line = |change: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        format!(
            "{} {} {} {:.2} {:.2}",
            text(&change["labels"]["member"]),
            text(&change["measure"]),
            text(&change["kind"]),
            number(&change["now"]),
            number(&change["before"][against]),
        )
    };
    changes.iter().map(line).collect()
}

#[tokio::test]
async fn changes_are_ranked_against_an_hour_a_day_and_a_week_ago_at_every_level() {
    let now = start().plus(HOUR * 3);
    let world = world(now);
    let fast = [
        ("api", "List", "up to 1 ms", 99, 0),
        ("api", "List", "up to 5 ms", 1, 0),
    ];
    let slow = [
        ("api", "List", "up to 1 ms", 90, 0),
        ("api", "List", "up to 2 s", 10, 5),
    ];
    let minute = |ago: Duration| now.minus(ago).minus(Duration::from_mins(2));
    let week = HOUR * 24 * 7;
    push_minute(
        &world,
        minute(week),
        &[("api", 1, 100), ("gone", 4, 50)],
        &fast,
    )
    .await;
    push_minute(&world, minute(HOUR * 24), &[("api", 2, 100)], &fast).await;
    push_minute(&world, minute(HOUR), &[("api", 2, 100)], &fast).await;
    push_minute(
        &world,
        minute(Duration::ZERO),
        &[("api", 2, 300), ("gc", 6, 100)],
        &slow,
    )
    .await;
    let query = async |rest: &str| {
        let path = format!(
            "/api/v1/profiles/changes?until={}&by=member{rest}",
            now.millis()
        );
        world.json(&path).await
    };
    let hour = query("").await;
    assert_eq!(hour["against"], "hour");
    let expected = [
        "gc cpu new 0.60 0.00",
        "api p99 grew 2.00 0.00",
        "api errors new 0.50 0.00",
        "api heap grew 300.00 100.00",
        "gc heap new 100.00 0.00",
        "api requests same 10.00 10.00",
        "api cpu same 0.20 0.20",
    ];
    let mut found = said(&hour);
    found.retain(|line| !line.starts_with("gone"));
    found.sort();
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    let of_week = said(&query("&against=week").await);
    assert!(
        of_week.contains(&"gone cpu gone 0.00 0.40".to_owned()),
        "{of_week:?}"
    );
    assert!(
        of_week.contains(&"api cpu grew 0.20 0.10".to_owned()),
        "{of_week:?}"
    );

    let mut rounds = 0;
    while compact(&world).await != (0, 0) {
        rounds += 1;
        assert!(rounds < 8, "compaction does not end");
    }
    assert!(keys(&world, "/blocks/day/").await > 0);
    assert_eq!(said(&query("").await), said(&hour));
    assert_eq!(said(&query("&against=week").await), of_week);
}

#[tokio::test]
async fn changes_refuse_what_they_do_not_know() {
    let world = world(start());
    let (status, body) = world
        .get_as("anonymous", "/api/v1/profiles/changes?against=year")
        .await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 400);
    assert!(body.contains("expected hour, day or week"), "{body}");
    let empty = world.json("/api/v1/profiles/changes").await;
    assert_eq!(empty["changes"], serde_json::json!([]));
    assert_eq!(empty["against"], Value::Null);
}
