//! Series that are kept shorter or longer than the others by rules of retention.

use super::days::{DAY, HOUR, compact, keys, levels, path, push_day, start, verify};
use crate::support::{CPU, World, cpu, options};
use davy_archive::compact::Outcome;
use davy_archive::plan::rules::RetentionRule;
use davy_archive::selector::Selector;
use davy_base::{Clock, Timestamp};
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The day that is pushed, also if midnight passes.
static START: LazyLock<Timestamp> = LazyLock::new(start);

fn rule(selector: &str, days: Duration) -> RetentionRule {
    RetentionRule {
        tenant: None,
        selector: Selector::parse(selector).expect("a selector"),
        days,
    }
}

/// A day of profiles that is merged into a day block, in an archive with rules that do not expire anything yet.
async fn world(rules: Vec<RetentionRule>) -> World {
    let clock = Clock::manual(*START);
    let mut options = options(Arc::new(InMemory::new()), &clock);
    options.policy.grace = Duration::ZERO;
    options.policy.late_settle = Duration::ZERO;
    options.retention = DAY;
    options.levels = levels();
    options.retention_rules = rules;
    let world = World::with(options);
    push_day(&world).await;
    world.clock.advance(HOUR * 7);
    settle(&world).await;
    world
}

async fn settle(world: &World) {
    for _ in 0..20 {
        if compact(world).await == (0, 0) {
            return;
        }
    }
    panic!("compaction does not end");
}

/// Moves the clock to a time after the end of the day.
fn at(world: &World, after: Duration) {
    let until = START.plus(DAY).plus(after);
    world.clock.advance(until.since(world.clock.now()));
}

async fn folded(world: &World, selector: &str, hours: std::ops::Range<u32>) -> String {
    let start = *START;
    let (from, until) = (start.plus(HOUR * hours.start), start.plus(HOUR * hours.end));
    let rest = format!("type={CPU}&selector={}", encoded(selector));
    let path = path("folded", from, until, &rest);
    let request = axum::http::Request::get(&path).body(axum::body::Body::empty());
    let (status, headers, body) = world.exchange(request.expect("a request")).await;
    assert_eq!(status, 200);
    assert_eq!(headers.get("davy-partial"), None, "{path}");
    let text = String::from_utf8(body).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Services in blocks, sorted.
async fn services(world: &World) -> Vec<String> {
    let levels = world.archive.levels().await.expect("a listing");
    let of_tenant = levels.into_iter().flat_map(|tenant| tenant.services);
    let mut services: Vec<String> = of_tenant.map(|of| of.service).collect();
    services.sort();
    services
}

#[tokio::test]
async fn rule_expires_its_series_at_all_levels_and_keeps_the_others() {
    let world = world(vec![rule(r#"{service_name="db"}"#, DAY)]).await;
    let mut before = Vec::new();
    for service in ["api", "web"] {
        let selector = format!("{{service_name=\"{service}\"}}");
        before.push(folded(&world, &selector, 0..24).await);
        before.push(folded(&world, &selector, 3..4).await);
    }
    assert_ne!(folded(&world, "{service_name=\"db\"}", 0..24).await, "");
    let (hour_blocks, day_blocks) = ("/blocks/hour/", "/blocks/day/");
    let counts = (
        keys(&world, hour_blocks).await,
        keys(&world, day_blocks).await,
    );

    at(&world, DAY);
    settle(&world).await;
    let mut after = Vec::new();
    for service in ["api", "web"] {
        let selector = format!("{{service_name=\"{service}\"}}");
        after.push(folded(&world, &selector, 0..24).await);
        after.push(folded(&world, &selector, 3..4).await);
    }
    assert_eq!(after, before);
    assert_eq!(folded(&world, "{service_name=\"db\"}", 0..24).await, "");
    assert_eq!(services(&world).await, ["api", "web"]);
    // The predecessors are gone.
    let now = (
        keys(&world, hour_blocks).await,
        keys(&world, day_blocks).await,
    );
    assert_eq!(now, counts);
    verify(&world).await;
}

#[tokio::test]
async fn rule_by_another_label_keeps_its_series_when_the_rest_of_the_day_expires() {
    let world = world(vec![rule(r#"{member="a"}"#, DAY * 60)]).await;
    let all = folded(&world, "", 0..24).await;
    let before = folded(&world, "{member=\"a\"}", 0..24).await;
    assert!(!before.is_empty() && before != all);
    // Without sums by hour, only those of the day are left.
    at(&world, DAY * 29);
    settle(&world).await;
    assert_eq!(folded(&world, "", 0..24).await, all);
    assert_eq!(keys(&world, "samples.parquet").await, 0);

    at(&world, DAY * 30);
    settle(&world).await;
    assert_eq!(folded(&world, "", 0..24).await, before);
    assert_eq!(folded(&world, "{member=\"a\"}", 0..24).await, before);
    // The day is the smallest unit that is left.
    assert_eq!(folded(&world, "", 3..4).await, before);
    assert_eq!(keys(&world, "meta.json").await, 1);
    verify(&world).await;

    at(&world, DAY * 60);
    settle(&world).await;
    assert_eq!(keys(&world, "/blocks/").await, 0);
}

#[tokio::test]
async fn dry_run_names_the_rule_and_what_it_expires_and_changes_nothing() {
    let selector = r#"{service_name="db"}"#;
    let world = world(vec![rule(selector, DAY)]).await;
    at(&world, DAY);
    let before = world.keys().await;
    let planned = world
        .archive
        .compactor()
        .retain(true)
        .await
        .expect("a plan");
    assert_eq!(world.keys().await, before);
    let by_rule: Vec<_> = planned.iter().filter(|of| of.rule == selector).collect();
    // The first seven hours lost their series while the day was merged.
    assert_eq!(by_rule.len(), 17 + 1, "{planned:?}");
    for of in &by_rule {
        assert_eq!(
            (of.kind, of.series, &of.outcome),
            ("series", 3, &Outcome::Due)
        );
        assert!(of.bytes > 0);
    }
    let done = world.archive.compactor().retain(false).await.expect("done");
    assert_eq!(done.len(), planned.len());
    assert!(
        done.iter().all(|of| of.outcome == Outcome::Deleted),
        "{done:?}"
    );
}

#[tokio::test]
async fn late_window_after_a_successor_counts_once_and_expired_series_stay_away() {
    let world = world(vec![rule(r#"{service_name="db"}"#, HOUR * 12)]).await;
    let before = folded(&world, "{service_name=\"web\"}", 0..24).await;
    at(&world, HOUR * 13);
    settle(&world).await;
    assert_eq!(services(&world).await, ["api", "web"]);
    for service in ["web", "db"] {
        let hour = Clock::manual(START.plus(HOUR * 20 + Duration::from_mins(1)));
        let raw = cpu(&hour, &[(&["late"], 7, &[])]);
        let labels = [
            ("service_name", service),
            ("__name__", "process_cpu"),
            ("instance", "1"),
        ];
        assert_eq!(world.push("", &labels, "late", &raw).await.0, 200);
    }
    settle(&world).await;
    let after = folded(&world, "{service_name=\"web\"}", 0..24).await;
    let mut expected: Vec<&str> = before.lines().chain(["late 7"]).collect();
    expected.sort_unstable();
    assert_eq!(after, expected.join("\n"));
    assert_eq!(folded(&world, "{service_name=\"db\"}", 0..24).await, "");
    assert_eq!(services(&world).await, ["api", "web"]);
    assert_eq!(keys(&world, "/blocks/day/").await, 11);
    verify(&world).await;
}

#[tokio::test]
async fn replaced_rules_apply_from_the_next_round_and_those_of_a_tenant_to_it_only() {
    let world = world(Vec::new()).await;
    at(&world, DAY);
    let mut of_other = rule(r#"{service_name="db"}"#, DAY);
    of_other.tenant = davy_archive::key::Tenant::new("other");
    world.archive.retention_rules().replace(vec![of_other]);
    settle(&world).await;
    assert_eq!(services(&world).await, ["api", "db", "web"]);
    let of_all = rule(r#"{service_name="db"}"#, DAY);
    world.archive.retention_rules().replace(vec![of_all]);
    settle(&world).await;
    assert_eq!(services(&world).await, ["api", "web"]);
}

#[tokio::test]
async fn overview_shows_the_rules_and_what_they_expire_next() {
    let world = world(vec![
        rule(r#"{service_name="db"}"#, DAY * 2),
        rule(r#"{service_name="absent"}"#, DAY),
    ])
    .await;
    at(&world, DAY + HOUR * 2);
    let app = davy_archive::overview_router(&world.archive);
    let request = axum::http::Request::get("/api/v1/archive").body(axum::body::Body::empty());
    let response = tower::ServiceExt::oneshot(app, request.expect("a request")).await;
    let body = response.expect("no failure").into_body();
    let body = http_body_util::BodyExt::collect(body).await.expect("whole");
    let json: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let rules = json["retention"]["rules"].as_array().expect("rules");
    assert_eq!(rules[0]["selector"], r#"{service_name="db"}"#);
    assert_eq!(rules[0]["seconds"], DAY.as_secs() * 2);
    assert_eq!(rules[0]["due_blocks"], 1, "{rules:?}");
    assert!(rules[0]["due_bytes"].as_u64() > Some(0));
    assert_eq!(rules[1]["due_blocks"], 0);
}
