//! Requests to the archive, and short forms of its answers.

use super::World;
use axum::body::Body;
use axum::http::Request;
use davy_profile::{Profile, gzip, pprof};
use serde_json::Value;

pub(crate) async fn ingest(
    world: &World,
    query: &str,
    kind: &str,
    body: impl Into<Body>,
) -> (u16, String) {
    let request = Request::post(format!("/ingest?{query}"))
        .header("content-type", kind)
        .body(body.into())
        .expect("a request");
    let (status, body) = world.call(request).await;
    (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

pub(crate) async fn take(world: &World, query: &str, body: impl Into<Body>) {
    let (status, answer) = ingest(world, query, "", body).await;
    assert_eq!(status, 200, "{query}: {answer}");
}

pub(crate) fn selector(service: &str) -> String {
    format!("selector=%7Bservice_name=%22{service}%22%7D")
}

pub(crate) async fn types(world: &World, service: &str) -> Vec<String> {
    let path = format!("/api/v1/profiles/types?{}", world.range(&selector(service)));
    let types = world.json(&path).await;
    let types = types.as_array().expect("a list").iter();
    types
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect()
}

pub(crate) fn encoded(word: &str) -> String {
    word.replace('%', "%25").replace('/', "%2F")
}

pub(crate) async fn view(world: &World, view: &str, kind: &str, service: &str) -> Value {
    let rest = format!("type={}&{}", encoded(kind), selector(service));
    world
        .json(&format!("/api/v1/profiles/{view}?{}", world.range(&rest)))
        .await
}

/// Folded stacks of one type of a service.
pub(crate) async fn stacks(world: &World, kind: &str, service: &str) -> String {
    world
        .folded(&format!("type={}&{}", encoded(kind), selector(service)))
        .await
}

/// A profile with one sample type.
pub(crate) fn one_type(kind: &str, unit: &str) -> Profile {
    let mut p = Profile::new();
    p.add_sample_type(kind, unit);
    p
}

pub(crate) fn packed(p: &Profile) -> Vec<u8> {
    gzip::compress(&pprof::encode(p))
}
