//! The overview of a tenant's archive, which its page shows.

use crate::levels::days::{DAY, compact, push_day, start, world_at};
use crate::support::{World, clock, cpu, options};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use davy_archive::{Prices, overview_router};
use http_body_util::BodyExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

async fn get(app: &Router, tenant: &str) -> (StatusCode, Value) {
    let request = Request::get("/api/v1/archive").header("x-scope-orgid", tenant);
    let request = request.body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("no failure");
    let status = response.status();
    let body = response.into_body().collect().await.expect("whole");
    let json = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    (status, json)
}

async fn push(world: &World, tenant: &str, service: &str) {
    let raw = cpu(&world.clock, &[(&["main"], 5, &[])]);
    let labels = [("service_name", service), ("__name__", "process_cpu")];
    assert_eq!(world.push(tenant, &labels, service, &raw).await.0, 200);
}

/// Number of requests of a kind to a level.
fn requests(json: &Value, request: &str, level: &str) -> u64 {
    let rows = json["requests"]["rows"].as_array().expect("rows");
    let of = rows
        .iter()
        .filter(|row| row["request"] == request && row["level"] == level);
    of.filter_map(|row| row["requests"].as_u64()).sum()
}

#[tokio::test]
async fn overview_states_levels_services_retention_and_backlog() {
    let world = world_at(start());
    push_day(&world).await;
    let app = overview_router(&world.archive);
    let (status, json) = get(&app, "anonymous").await;
    assert_eq!(status, 200);
    let names = |json: &Value, of: &str| -> Vec<String> {
        let all = json[of].as_array().expect("a list");
        let named = all.iter().filter_map(|one| one["level"].as_str());
        named.map(str::to_owned).collect()
    };
    assert_eq!(names(&json, "levels")[..3], ["segment", "hour", "day"]);
    assert!(json["levels"][0]["pieces"].as_u64() > Some(24), "{json}");
    assert_eq!(json["levels"][0]["backlog"], 24);
    assert_eq!(json["levels"][1]["pieces"], 0);
    assert!(json["levels"][0]["lag_seconds"].as_u64() > Some(22 * 3_600));

    world.clock.advance(Duration::from_hours(7));
    while compact(&world).await != (0, 0) {}
    let (_, json) = get(&app, "anonymous").await;
    assert_eq!(json["levels"][0]["pieces"], 0, "{json}");
    assert_eq!(json["levels"][0]["backlog"], 0);
    assert_eq!(json["levels"][1]["pieces"], 24);
    assert_eq!(json["levels"][2]["pieces"], 1);
    let services = json["services"].as_array().expect("services");
    let mut services: Vec<&str> = services
        .iter()
        .filter_map(|of| of["service"].as_str())
        .collect();
    services.sort_unstable();
    assert_eq!(services, ["api", "db", "web"]);
    assert_eq!(json["blocks_counted"], 25);

    // Windows are kept for two days, which are over for seven hours within a day.
    let kept = &json["retention"]["levels"][0];
    assert_eq!(
        (&kept["level"], &kept["due_pieces"]),
        (&"windows".into(), &7.into())
    );
    assert_eq!(kept["seconds"], DAY.as_secs() * 2);
    world.clock.advance(DAY);
    let (_, json) = get(&app, "anonymous").await;
    let kept = &json["retention"]["levels"][0];
    assert_eq!(kept["due_pieces"], 24, "{json}");
    assert_eq!(kept["due_bytes"], json["levels"][1]["bytes"]);
}

#[tokio::test]
async fn overview_shows_nothing_of_another_tenant() {
    let world = World::new();
    push(&world, "a", "shop").await;
    let app = overview_router(&world.archive);
    let (_, before) = get(&app, "a").await;
    for service in ["secret-1", "secret-2"] {
        push(&world, "b", service).await;
    }
    world.clock.advance(Duration::from_mins(2));
    let (_, after) = get(&app, "a").await;
    assert!(!after.to_string().contains("secret"), "{after}");
    assert_eq!(requests(&after, "put", "segments"), 1);
    assert_eq!(requests(&before, "put", "segments"), 1);
    assert_eq!(before["levels"], after["levels"]);
    let (_, of_b) = get(&app, "b").await;
    assert_eq!(requests(&of_b, "put", "segments"), 2);
    let (status, of_nobody) = get(&app, "nobody").await;
    assert_eq!(
        (status, &of_nobody["levels"][0]["pieces"]),
        (StatusCode::OK, &0.into())
    );
}

#[tokio::test]
async fn overview_is_made_once_a_minute_and_states_what_that_took() {
    let world = World::new();
    push(&world, "anonymous", "shop").await;
    let app = overview_router(&world.archive);
    let before = world.bucket_requests();
    let (_, first) = get(&app, "anonymous").await;
    let took = (world.bucket_requests() - before) as u64;
    assert_eq!(first["cost"]["requests"].as_u64(), Some(took), "{first}");
    assert!((1..=8).contains(&took), "{took}");
    world.clock.advance(Duration::from_secs(59));
    let (_, second) = get(&app, "anonymous").await;
    assert_eq!(second, first);
    assert_eq!((world.bucket_requests() - before) as u64, took);
    world.clock.advance(Duration::from_secs(1));
    let (_, third) = get(&app, "anonymous").await;
    assert_ne!(third["listed_at"], first["listed_at"]);
    assert!((world.bucket_requests() - before) as u64 > took);
}

#[tokio::test]
async fn overview_states_what_requests_cost_if_prices_are_set() {
    let mut of = options(Arc::new(InMemory::new()), &clock());
    of.prices = Prices {
        currency: "EUR".to_owned(),
        put_per_1000: Some(5.0),
        storage_per_gb_month: Some(1.0),
        ..Prices::default()
    };
    let world = World::with(of);
    push(&world, "anonymous", "shop").await;
    let (_, json) = get(&overview_router(&world.archive), "anonymous").await;
    let charges = &json["charges"];
    assert_eq!(charges["currency"], "EUR");
    assert_eq!(charges["requests"], 0.005);
    assert_eq!(charges["transfer"], Value::Null);
    let stored = json["levels"][0]["bytes"].as_u64().expect("a size") as f64;
    let storage = charges["storage_per_month"].as_f64().expect("a charge");
    assert!((storage - stored / f64::from(1 << 30)).abs() < 1e-12);
    let missing = charges["missing"].as_array().expect("a list");
    assert!(missing.contains(&"list_per_1000".into()) && !missing.contains(&"put_per_1000".into()));

    let without = World::new();
    let (_, json) = get(&overview_router(&without.archive), "anonymous").await;
    assert_eq!(json["charges"], Value::Null);
}

#[tokio::test]
async fn overview_lists_the_newest_damaged_objects_with_their_reasons() {
    let world = World::new();
    let key = "davy/anonymous/quarantine/checksum/segments/2026-01-01/00/x.segment";
    let key = Path::from(key);
    let put = world.bucket.put(&key, vec![0; 7].into());
    put.await.expect("an object");
    let (_, json) = get(&overview_router(&world.archive), "anonymous").await;
    let quarantine = &json["quarantine"];
    assert_eq!(
        (&quarantine["objects"], &quarantine["bytes"]),
        (&1.into(), &7.into())
    );
    assert_eq!(quarantine["last"][0]["reason"], "checksum");
    assert_eq!(
        quarantine["last"][0]["key"],
        "segments/2026-01-01/00/x.segment"
    );
}
