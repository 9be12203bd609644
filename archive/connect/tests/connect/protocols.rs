//! The forms of requests and responses of each protocol.

use crate::support::{CPU, World};
use axum::body::Body;
use axum::http::{HeaderMap, Request, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use davy_profile::gzip;
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

const TYPES: &str = "/querier.v1.QuerierService/ProfileTypes";

/// A frame of gRPC.
pub(crate) fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flags];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// Sends a message with a media type over HTTP/2.
pub(crate) async fn post(
    world: &World,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, HeaderMap, Vec<u8>, Option<HeaderMap>) {
    world.accepting().await;
    let mut request = Request::post(path).version(Version::HTTP_2);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let response = world.app().oneshot(request).await.expect("no failure");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body");
    let trailers = body.trailers().cloned();
    (
        parts.status.as_u16(),
        parts.headers,
        body.to_bytes().to_vec(),
        trailers,
    )
}

#[tokio::test]
async fn connect_takes_both_encodings_compression_and_get() {
    let world = World::filled().await;
    let json = [
        ("content-type", "application/json; charset=utf-8"),
        ("connect-protocol-version", "1"),
    ];
    let (status, headers, plain, _) = post(&world, TYPES, &json, Vec::new()).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"application/json".parse().expect("valid"))
    );
    assert!(String::from_utf8_lossy(&plain).contains(CPU));
    let packed = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let same = post(
        &world,
        TYPES,
        &packed,
        gzip::compress(b"{\"start\":0,\"unknown\":[1]}"),
    )
    .await;
    assert_eq!((same.0, same.2), (200, plain.clone()));
    let proto = [("content-type", "application/proto")];
    let (status, headers, bytes, _) = post(&world, TYPES, &proto, Vec::new()).await;
    assert_eq!(
        (status, headers["content-type"].as_bytes()),
        (200, &b"application/proto"[..])
    );
    assert!(bytes.windows(CPU.len()).any(|part| part == CPU.as_bytes()));

    let get = async |parameters: String| {
        let request = Request::get(format!("{TYPES}?{parameters}")).body(Body::empty());
        world.exchange(request.expect("a request")).await
    };
    let (status, _, body) = get("connect=v1&encoding=json&message=%7B%7D".to_owned()).await;
    assert_eq!((status.as_u16(), body), (200, plain.clone()));
    let message = URL_SAFE_NO_PAD.encode(gzip::compress(b"{}"));
    let (status, _, body) = get(format!(
        "encoding=json&base64=1&compression=gzip&message={message}"
    ))
    .await;
    assert_eq!((status.as_u16(), body), (200, plain));
    let (status, headers, body) = get("encoding=proto&message=".to_owned()).await;
    assert_eq!((status.as_u16(), body), (200, bytes));
    assert_eq!(headers["content-type"], "application/proto");
}

#[tokio::test]
async fn grpc_has_its_status_in_trailers() {
    let world = World::filled().await;
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let (status, headers, body, trailers) = post(&world, TYPES, &grpc, frame(0, &[])).await;
    assert_eq!(
        (status, headers["content-type"].as_bytes()),
        (200, &b"application/grpc+proto"[..])
    );
    assert_eq!(body[0], 0);
    assert_eq!(
        body.len() - 5,
        u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize
    );
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");

    // An error has no message, so its status is in the headers.
    let request = frame(0, b"\x0a\x03cpu");
    let path = "/querier.v1.QuerierService/SelectMergeStacktraces";
    let (status, headers, body, trailers) = post(&world, path, &grpc, request.clone()).await;
    assert_eq!(
        (status, &headers["grpc-status"], body.len()),
        (200, &"3".parse().expect("valid"), 0)
    );
    let message = headers["grpc-message"].to_str().expect("a text");
    assert!(
        message.starts_with("invalid profile_typeID \"cpu\"; expected name:type"),
        "{message}"
    );
    assert!(trailers.is_none());

    // Compressed in both directions.
    let compressed = [
        ("content-type", "application/grpc+json"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "identity, gzip"),
    ];
    let request = world.over(json!({ "labelNames": [] })).to_string();
    let request = frame(1, &gzip::compress(request.as_bytes()));
    let path = "/querier.v1.QuerierService/Series";
    let (_, headers, body, trailers) = post(&world, path, &compressed, request).await;
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
    assert_eq!(
        (headers["grpc-encoding"].as_bytes(), body[0]),
        (&b"gzip"[..], 1)
    );
    let text = gzip::unpack(&body[5..], &davy_profile::Limits::default()).expect("gzip");
    assert!(text.starts_with(b"{\"labelsSet\":["));

    // HTTP/1 has no trailers.
    let request = Request::post(TYPES).header("content-type", "application/grpc");
    let request = request.body(Body::from(frame(0, &[]))).expect("a request");
    assert_eq!(world.exchange(request).await.0, 505);
}

#[tokio::test]
async fn grpc_web_has_its_status_in_a_frame() {
    let world = World::filled().await;
    let web = [("content-type", "application/grpc-web+proto")];
    let (status, headers, body, trailers) = post(&world, TYPES, &web, frame(0, &[])).await;
    assert_eq!(
        (status, headers["content-type"].as_bytes()),
        (200, &b"application/grpc-web+proto"[..])
    );
    assert!(trailers.is_none());
    let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
    assert_eq!(body[5 + length..], frame(0x80, b"grpc-status: 0\r\n"));
    let path = "/querier.v1.QuerierService/Unknown";
    let (status, _, body, _) = post(&world, path, &web, frame(0, &[])).await;
    let text = "grpc-status: 12\r\ngrpc-message: unknown method \"Unknown\"\r\n";
    assert_eq!((status, body), (200, frame(0x80, text.as_bytes())));
}

#[tokio::test]
async fn services_beside_the_querier_answer_honestly() {
    let world = World::new();
    let json = [("content-type", "application/json")];
    for (path, status, expected) in [
        ("/settings.v1.SettingsService/Get", 200, "{}"),
        (
            "/settings.v1.SettingsService/Set",
            501,
            "settings are not stored",
        ),
        (
            "/settings.v1.RecordingRulesService/ListRecordingRules",
            200,
            "{}",
        ),
        (
            "/settings.v1.RecordingRulesService/UpsertRecordingRule",
            400,
            "missing matcher __profile_type__",
        ),
        ("/version.v1.Version/Version", 200, "{\"QuerierAPI\":\"1\"}"),
        (
            "/capabilities.v1.FeatureFlagsService/GetFeatureFlags",
            200,
            "{}",
        ),
        (
            "/version.v1.Version/Other",
            501,
            "unknown method \\\"Other\\\"",
        ),
    ] {
        let (got, _, body, _) = post(&world, path, &json, b"{}".to_vec()).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            got == status && body.contains(expected),
            "{path}: {got} {body}"
        );
    }
}
