//! Limits of tenants, and what one tenant can see of another: nothing.

use crate::support::requests::{packed, selector};
use crate::support::symbols::{addresses, index_of, put_as};
use crate::support::{World, clock, cpu, options, push_request};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use davy_archive::{LimitTable, TenantLimits};
use object_store::memory::InMemory;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// An archive in which the tenant `small` has these limits.
fn with_limits(limits: TenantLimits) -> World {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    let mut table = LimitTable::default();
    assert!(table.insert("small", limits));
    options.limits = table;
    World::with(options)
}

async fn push(world: &World, tenant: &str, body: Vec<u8>) -> (StatusCode, HeaderMap, Value) {
    let request = Request::post("/push.v1.PusherService/Push")
        .header("content-type", "application/proto")
        .header("content-length", body.len())
        .header("x-scope-orgid", tenant)
        .body(Body::from(body))
        .expect("a request");
    let (status, headers, body) = world.exchange(request).await;
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (status, headers, json)
}

/// Stack, value and labels.
type Sample<'a> = (&'a [&'a str], i64, &'a [(&'a str, &'a str)]);

/// A push of a profile with these samples.
fn web(world: &World, id: &str, samples: &[Sample<'_>]) -> Vec<u8> {
    let labels = [("service_name", "web"), ("__name__", "process_cpu")];
    push_request(&labels, id, &cpu(&world.clock, samples))
}

#[tokio::test]
async fn rate_limit_refuses_pushes_whole_and_says_when_to_retry() {
    let body = |world: &World, id: &str| web(world, id, &[(&["main"], 5, &[])]);
    let length = body(&World::new(), "1").len() as u64;
    let world = with_limits(TenantLimits {
        ingest_rate_bytes: length / 10,
        ingest_burst_bytes: length + length / 2,
        ..TenantLimits::default()
    });
    assert_eq!(push(&world, "small", body(&world, "1")).await.0, 200);
    let (status, headers, json) = push(&world, "small", body(&world, "2")).await;
    assert_eq!(status, 429, "{json}");
    assert_eq!(json["code"], "resource_exhausted");
    let message = json["message"].as_str().expect("text");
    assert!(message.contains("limits.ingest_rate_bytes"), "{message}");
    let wait: u64 = headers["retry-after"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert!((4..=6).contains(&wait), "{wait}");
    assert_eq!(
        push(&world, "other", body(&world, "2")).await.0,
        200,
        "another tenant"
    );

    // The other protocol, with a body of unknown length.
    let parts = vec![Ok::<_, std::io::Error>("main 5\n".repeat(length as usize))];
    let request = Request::post("/ingest?name=web")
        .header("x-scope-orgid", "small")
        .body(Body::from_stream(futures_util::stream::iter(parts)))
        .expect("a request");
    let (status, body_text) = world.call(request).await;
    let body_text = String::from_utf8_lossy(&body_text).into_owned();
    assert_eq!(status, 429, "{body_text}");
    assert!(
        body_text.contains("limits.ingest_rate_bytes"),
        "{body_text}"
    );

    let (_, folded) = world
        .get_as(
            "small",
            &format!("/api/v1/profiles/folded?{}", world.range("type=cpu")),
        )
        .await;
    assert_eq!(String::from_utf8_lossy(&folded), "main 5\n");
    let limited = [("tenant", "small"), ("limit", "limits.ingest_rate_bytes")];
    assert_eq!(world.counted("davy_archive_limited_total", &limited), 2);
    world.clock.advance(Duration::from_secs(wait));
    assert_eq!(push(&world, "small", body(&world, "2")).await.0, 200);
}

#[tokio::test]
async fn symbols_count_towards_the_rate_and_are_refused_as_a_problem() {
    let world = with_limits(TenantLimits {
        ingest_rate_bytes: 1,
        ingest_burst_bytes: 1,
        ..TenantLimits::default()
    });
    let (status, _) = put_as(&world, "small", "aa", "", index_of("aa", "work")).await;
    assert_eq!(status, 200, "a burst");
    let (status, body) = put_as(&world, "small", "bb", "", index_of("bb", "work")).await;
    assert_eq!(status, 429, "{body}");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(problem["limit"], "limits.ingest_rate_bytes");
}

#[tokio::test]
async fn profile_above_the_size_of_its_tenant_is_refused_with_413() {
    let world = with_limits(TenantLimits {
        profile_bytes: 300,
        ..TenantLimits::default()
    });
    let small = web(&world, "1", &[(&["main"], 5, &[])]);
    let deep: Vec<String> = (0..50).map(|at| format!("function {at}")).collect();
    let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
    let large = web(&world, "2", &[(&deep, 5, &[])]);
    assert_eq!(push(&world, "small", small).await.0, 200);
    let (status, _, json) = push(&world, "small", large.clone()).await;
    assert_eq!(status, 413, "{json}");
    assert_eq!(json["code"], "resource_exhausted");
    let message = json["message"].as_str().expect("text");
    assert!(message.contains("limits.profile_bytes"), "{message}");
    assert_eq!(push(&world, "other", large).await.0, 200);
    let limited = [("tenant", "small"), ("limit", "limits.profile_bytes")];
    assert_eq!(world.counted("davy_archive_limited_total", &limited), 1);
}

async fn folded(world: &World, tenant: &str, rest: &str) -> Vec<String> {
    folded_in(world, &world.range(""), tenant, rest).await
}

async fn folded_in(world: &World, range: &str, tenant: &str, rest: &str) -> Vec<String> {
    let path = format!("/api/v1/profiles/folded?{range}{rest}");
    let (status, body) = world.get_as(tenant, &path).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 200, "{body}");
    let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn labels_fold_into_overflow_past_the_series_limit_and_no_sample_is_lost() {
    let world = with_limits(TenantLimits {
        series: 4,
        ..TenantLimits::default()
    });
    // One series of the source and three of members fit.
    for (at, member) in ["a", "b", "c", "d", "e", "a"].into_iter().enumerate() {
        let labels = [("member", member), ("op", "x")];
        let body = web(&world, &at.to_string(), &[(&["main"], 5, &labels)]);
        assert_eq!(push(&world, "small", body).await.0, 200);
    }
    let expected = [
        "member=(overflow);main 10",
        "member=a;main 10",
        "member=b;main 5",
        "member=c;main 5",
    ];
    assert_eq!(
        folded(&world, "small", "type=cpu&by=member").await,
        expected
    );
    // The limit leaves no series for a new source: its labels become (overflow), its service_name is kept.
    for service in ["web", "api"] {
        let labels = [
            ("service_name", service),
            ("instance", "i-7"),
            ("__name__", "process_cpu"),
        ];
        let raw = cpu(&world.clock, &[(&["work"], 7, &[("member", "z")])]);
        let body = push_request(&labels, "9", &raw);
        assert_eq!(push(&world, "small", body).await.0, 200);
    }
    let of = |service: &str| format!("type=cpu&by=instance,member&{}", selector(service));
    let rows = folded(&world, "small", &of("api")).await;
    assert_eq!(rows, ["instance=(overflow);member=(overflow);work 7"]);
    let total = folded(&world, "small", "type=cpu&all_services=true").await;
    assert_eq!(total, ["main 30", "work 14"]);
    let tenant = [("tenant", "small")];
    assert_eq!(
        world.counted("davy_archive_overflow_series_total", &tenant),
        2 + 4
    );
    // A window that is sent again counts once, although its labels are folded now.
    let labels = [
        ("service_name", "api"),
        ("instance", "i-7"),
        ("__name__", "process_cpu"),
    ];
    let raw = cpu(&world.clock, &[(&["work"], 7, &[("member", "z")])]);
    world.archive.limits().replace(LimitTable::default());
    assert_eq!(
        push(&world, "small", push_request(&labels, "9", &raw))
            .await
            .0,
        200
    );
    let total = folded(&world, "small", "type=cpu&all_services=true").await;
    assert_eq!(total, ["main 30", "work 14"]);
}

#[tokio::test]
async fn limits_change_while_the_archive_runs() {
    let world = World::new();
    let body = |id: &str| web(&world, id, &[(&["main"], 5, &[])]);
    assert_eq!(push(&world, "small", body("1")).await.0, 200);
    let mut table = LimitTable::default();
    let limits = TenantLimits {
        profile_bytes: 10,
        query_range: Duration::from_mins(5),
        ..TenantLimits::default()
    };
    assert!(table.insert("small", limits));
    world.archive.limits().replace(table);
    assert_eq!(push(&world, "small", body("2")).await.0, 413);
    let path = format!("/api/v1/profiles/folded?{}", world.range("type=cpu"));
    let (status, problem) = world.get_as("small", &path).await;
    let problem: Value = serde_json::from_slice(&problem).expect("JSON");
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["limit"], "limits.query_range");
    assert_eq!(world.get_as("other", &path).await.0, 200);
    world.archive.limits().replace(LimitTable::default());
    assert_eq!(world.get_as("small", &path).await.0, 200);
}

/// Texts that only one tenant has pushed.
const SECRETS: [&str; 6] = [
    "secret-one",
    "secret_type",
    "secret_label",
    "secret_main",
    "secret.rs",
    "0ne0ne",
];

async fn push_secrets(world: &World) {
    let labels = [
        ("service_name", "secret-one"),
        ("__name__", "secret_type"),
        ("secret_label", "secret-one"),
    ];
    let raw = cpu(
        &world.clock,
        &[(&["secret_main"], 5, &[("member", "secret-one")])],
    );
    assert_eq!(world.push("one", &labels, "1", &raw).await.0, 200);
    let labels = [("service_name", "secret-one"), ("__name__", "process_cpu")];
    let raw = packed(&addresses("0ne0ne", &[(&[0x1010, 0x2018], 5)]));
    assert_eq!(world.push("one", &labels, "2", &raw).await.0, 200);
    let (status, body) = put_as(
        world,
        "one",
        "0ne0ne",
        "",
        index_of("0ne0ne", "secret_main"),
    )
    .await;
    assert_eq!(status, 200, "{body}");
}

/// Paths of an operation that a curious tenant tries.
fn attempts(range: &str, path: &str) -> Vec<String> {
    if path.starts_with("/api/v1/symbols") {
        return vec![path.replace("{build_id}", "0ne0ne")];
    }
    let names = [
        "",
        "&name=service_name",
        "&name=secret_label",
        "&name=__name__",
    ];
    let selectors = [
        "",
        "&selector={service_name=%22secret-one%22}",
        "&selector={member=~%22.*%22}",
    ];
    let mut attempts = Vec::new();
    for selector in selectors {
        if path.ends_with("/labels") {
            attempts.extend(names.map(|name| format!("{path}?{range}{selector}{name}")));
            continue;
        }
        for kind in ["cpu", "secret_type:cpu:nanoseconds:cpu:nanoseconds"] {
            for rest in ["", "&by=secret_label", "&by=service_name&all_services=true"] {
                if path.ends_with("/types") && !rest.is_empty() {
                    continue;
                }
                attempts.push(format!("{path}?{range}type={kind}{selector}{rest}"));
            }
        }
    }
    attempts
}

/// Fails if a response to a tenant has a secret of another.
async fn check_nothing_seen(world: &World, range: &str, tenant: &str, accept: &str) -> usize {
    let mut count = 0;
    for (method, path, operation) in davy_archive::OPERATIONS {
        if *method != "GET" {
            continue;
        }
        for uri in attempts(range, path) {
            let request = Request::get(&uri)
                .header("x-scope-orgid", tenant)
                .header("accept", accept)
                .body(Body::empty())
                .expect("a request");
            let (status, headers, body) = world.exchange(request).await;
            count += 1;
            let body = davy_profile::gzip::unpack(&body, &davy_profile::Limits::default());
            let body = String::from_utf8_lossy(&body.expect("a response")).into_owned();
            let seen = format!("{status} {headers:?} {body}");
            for secret in SECRETS {
                // What the request names itself can be in the response, and the tenant `two` has the same build.
                let is_known = uri.contains(secret) || (tenant == "two" && secret == "0ne0ne");
                assert!(
                    is_known || !seen.contains(secret),
                    "{operation} {uri}: {seen}"
                );
            }
            let is_found = status == 200 && path.contains("{build_id}");
            assert!(!is_found, "{operation} {uri}: {seen}");
            let totals = ["\"total\":5", "\"windows\":1", "\"windows\":2"];
            let has_values = totals.iter().any(|total| seen.contains(total));
            assert!(tenant == "two" || !has_values, "{operation} {uri}: {seen}");
        }
    }
    count
}

#[tokio::test]
async fn no_read_endpoint_shows_a_tenant_anything_of_another() {
    let world = World::new();
    let range = world.range("");
    push_secrets(&world).await;
    // The same build without its names, and profiles of its own.
    let labels = [("service_name", "plain"), ("__name__", "process_cpu")];
    let raw = packed(&addresses("0ne0ne", &[(&[0x1010, 0x2018], 9)]));
    assert_eq!(world.push("two", &labels, "1", &raw).await.0, 200);
    for round in ["segments", "an hour block", "a day block"] {
        // Its owner sees it, which also fills the caches.
        let own = folded_in(&world, &range, "one", "type=cpu&all_services=true").await;
        assert!(
            own.iter().any(|line| line.contains("secret_main")),
            "{round}: {own:?}"
        );
        for tenant in ["two", "three", "anonymous", "ONE", "one/", "on"] {
            for accept in ["application/json", "*/*"] {
                let count = check_nothing_seen(&world, &range, tenant, accept).await;
                assert!(count > 50, "{count}");
            }
        }
        let other = folded_in(&world, &range, "two", "type=cpu").await;
        assert_eq!(other, ["0x1010 [server];0x2018 [server] 9"], "{round}");
        world.clock.advance(match round {
            "segments" => Duration::from_mins(40),
            _ => Duration::from_hours(31),
        });
        world.archive.compactor().once().await.expect("compaction");
    }
    let metrics = prometheus::TextEncoder::new().encode_to_string(&world.metrics.gather());
    let metrics = metrics.expect("text");
    for name in SECRETS.iter().chain(&["\"one\"", "\"two\""]) {
        assert!(!metrics.contains(name), "{name}: {metrics}");
    }
}
