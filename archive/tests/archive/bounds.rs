//! Queries stay within limits, wait their turn, end with their client, and say what they cost.

use crate::support::gate::Gate;
use crate::support::{WEB, World, clock, cpu, options};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use davy_archive::{LimitTable, TenantLimits};
use futures_util::FutureExt;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

/// An archive on a gate, and the limits of the tenant `busy`.
async fn world(gate: &std::sync::Arc<Gate>, queries: usize, busy: TenantLimits) -> World {
    let store: std::sync::Arc<dyn object_store::ObjectStore> = gate.clone();
    let mut options = options(store, &clock());
    options.queries = queries;
    options.queued_queries = 2;
    options.cache_bytes = 0;
    options.requests.timeout = Duration::from_hours(1);
    options.requests.attempt_timeout = Duration::from_hours(1);
    let mut limits = LimitTable::default();
    assert!(limits.insert("busy", busy));
    options.limits = limits;
    let world = World::with(options);
    for tenant in ["busy", "other"] {
        let raw = cpu(&world.clock, &[(&["main", "work"], 5, &[])]);
        assert_eq!(world.push(tenant, WEB, "1", &raw).await.0, 200);
    }
    world
}

type Answer = (StatusCode, HeaderMap, Value);
type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// A query that has begun.
fn ask<'a>(world: &'a World, tenant: &str, view: &str, rest: &str) -> Asking<'a> {
    let until = world.clock.now().millis() + 600_000;
    let path = format!("/api/v1/profiles/{view}?type=cpu&until={until}&{rest}");
    let request = Request::get(path)
        .header("x-scope-orgid", tenant)
        .header("accept", "application/json")
        .body(Body::empty())
        .expect("a request");
    let asking = async move {
        let (status, headers, body) = world.exchange(request).await;
        (
            status,
            headers,
            serde_json::from_slice(&body).unwrap_or(Value::Null),
        )
    };
    let mut asking: Asking<'a> = Box::pin(asking);
    match asking.as_mut().now_or_never() {
        Some(answer) => Box::pin(std::future::ready(answer)),
        None => asking,
    }
}

fn gauge(world: &World, state: &str) -> i64 {
    let families = world.metrics.gather();
    let family = families
        .iter()
        .find(|of| of.name() == "davy_archive_queries");
    let metrics = family.expect("registered").get_metric().iter();
    let has =
        |of: &&prometheus::proto::Metric| of.get_label().iter().any(|pair| pair.value() == state);
    metrics
        .filter(has)
        .map(|of| of.get_gauge().get_value() as i64)
        .sum()
}

/// Polls a query until its read waits at the gate.
async fn reach_gate(asking: &mut Asking<'_>, gate: &Gate, reads: usize) {
    while gate.waiting() < reads {
        assert!(
            asking.as_mut().now_or_never().is_none(),
            "it waits for its read"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_year_queries_leave_slots_to_short_ones_and_to_other_tenants() {
    let gate = Gate::new("/busy/");
    let world = world(&gate, 2, TenantLimits::default()).await;
    gate.set_open(false);
    let long = "from=now-731d";
    let mut first = ask(&world, "busy", "flamegraph", long);
    reach_gate(&mut first, &gate, 1).await;
    let mut second = ask(&world, "busy", "flamegraph", long);
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!((gauge(&world, "running"), gauge(&world, "waiting")), (1, 1));
    let (status, headers, tree) = ask(&world, "other", "flamegraph", "from=now-1h").await;
    assert_eq!(
        (status.as_u16(), &tree["total"]),
        (200, &Value::from(5)),
        "{tree}"
    );
    let timing = headers["server-timing"].to_str().expect("text");
    assert!(timing.starts_with("queue;dur=0.0, query;dur="), "{timing}");
    // The queue has two places; one is taken by the second query.
    let _third = ask(&world, "busy", "flamegraph", long);
    let (status, headers, problem) = ask(&world, "busy", "flamegraph", long).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(headers["retry-after"], "5");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("archive.queued_queries"), "{detail}");
    assert_eq!(world.counted("davy_archive_queries_refused_total", &[]), 1);
    gate.set_open(true);
    for asking in [first, second] {
        let (status, _, tree) = asking.await;
        assert_eq!((status.as_u16(), &tree["total"]), (200, &Value::from(5)));
    }
}

#[tokio::test]
async fn query_whose_client_leaves_gives_back_its_slot_and_its_reads() {
    let gate = Gate::new("/busy/");
    let world = world(&gate, 1, TenantLimits::default()).await;
    gate.set_open(false);
    let mut running = ask(&world, "busy", "pprof", "from=now-1h");
    reach_gate(&mut running, &gate, 1).await;
    let mut waiting = ask(&world, "other", "top", "from=now-1h");
    let leaving = ask(&world, "other", "top", "from=now-1h");
    assert_eq!((gauge(&world, "running"), gauge(&world, "waiting")), (1, 2));
    drop(leaving);
    assert_eq!((gauge(&world, "running"), gauge(&world, "waiting")), (1, 1));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(running);
    assert_eq!(gate.waiting(), 0, "its read was dropped");
    let (status, _, top) = waiting.await;
    assert_eq!((status.as_u16(), &top["total"]), (200, &Value::from(5)));
    assert_eq!((gauge(&world, "running"), gauge(&world, "waiting")), (0, 0));
    assert_eq!(
        world.counted("davy_archive_queries_cancelled_total", &[]),
        2
    );
}

#[tokio::test]
async fn query_that_takes_too_long_or_reads_too_much_is_stopped_by_the_limit_of_its_tenant() {
    let gate = Gate::new("/busy/");
    let limits = TenantLimits {
        query_timeout: Duration::from_secs(20),
        query_bytes: 1_000,
        ..TenantLimits::default()
    };
    let world = world(&gate, 1, limits).await;
    let check = |(status, _, problem): Answer, limit: &str| {
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["limit"], limit, "{problem}");
        let detail = problem["detail"].as_str().expect("text");
        assert!(
            detail.contains(limit) && detail.contains("shorter range"),
            "{detail}"
        );
        let labels = [("tenant", "busy"), ("limit", limit)];
        assert_eq!(world.counted("davy_archive_limited_total", &labels), 1);
    };
    gate.set_open(false);
    let mut slow = ask(&world, "busy", "flamegraph", "from=now-1h");
    reach_gate(&mut slow, &gate, 1).await;
    let queued = ask(&world, "busy", "flamegraph", "from=now-1h");
    world.clock.advance(Duration::from_secs(21));
    check(slow.await, "limits.query_timeout");
    assert_eq!(gate.waiting(), 0);
    assert_eq!(queued.await.0, 422, "time in the queue counts");
    assert_eq!((gauge(&world, "running"), gauge(&world, "waiting")), (0, 0));
    gate.set_open(true);
    check(
        ask(&world, "busy", "top", "from=now-1h").await,
        "limits.query_bytes",
    );
    let (status, ..) = ask(&world, "other", "top", "from=now-1h").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn response_states_what_it_cost() {
    let gate = Gate::new("/nothing/");
    let world = world(&gate, 1, TenantLimits::default()).await;
    let mut costs = Vec::new();
    // Views of the same range share a merge.
    for (view, minutes) in [
        ("flamegraph", 60),
        ("top", 61),
        ("series", 62),
        ("diff", 63),
    ] {
        let rest = format!("from=now-{minutes}m");
        let (status, headers, body) = ask(&world, "other", view, &rest).await;
        assert_eq!(status, 200, "{view}: {body}");
        let cost = match view {
            "diff" => &body["meta"]["cost"],
            _ => &body["cost"],
        };
        let header = headers["davy-cost"].to_str().expect("text");
        let number = |name: &str| cost[name].as_u64().expect("a number");
        for name in ["requests", "bytes", "cached_bytes", "decoded_bytes"] {
            assert!(
                header.contains(&format!("{name}={}", number(name))),
                "{view}: {header}"
            );
        }
        assert!(
            number("requests") > 1 && number("bytes") > 500,
            "{view}: {cost}"
        );
        assert!(number("decoded_bytes") > 100, "{view}: {cost}");
        costs.push(number("requests"));
    }
    assert!(costs[3] > costs[0], "a diff reads two ranges: {costs:?}");
    for view in ["pprof", "folded", "svg", "types", "labels"] {
        let rest = if view == "labels" {
            "name=service_name"
        } else {
            ""
        };
        let (_, headers, _) = ask(&world, "other", view, rest).await;
        assert!(headers.contains_key("davy-cost"), "{view}");
    }
    world.clock.advance(Duration::from_mins(40));
    let done = world.archive.compactor().once().await.expect("compaction");
    assert!(done.merged == 2 && done.requests > 10, "{done:?}");
    assert!(
        done.read_bytes > 1_000 && done.written_bytes > 1_000,
        "{done:?}"
    );
}
