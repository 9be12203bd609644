//! Requests that are refused, each in the form of its protocol.

use crate::protocols::{frame, post};
use crate::support::{CPU, World};
use davy_profile::gzip;
use serde_json::{Value, json};

#[tokio::test]
async fn wrong_requests_get_connects_errors() {
    let world = World::filled().await;
    let stacks = "SelectMergeStacktraces";
    let request = |more: Value| {
        let mut request = world.over(json!({ "profileTypeID": CPU, "labelSelector": "{}" }));
        let fields = request.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        request
    };
    let check = async |method: &str, more: Value, status: u16, code: &str, part: &str| {
        let (got, body) = world.call("anonymous", method, &request(more)).await;
        assert_eq!(
            (got, body["code"].as_str()),
            (status, Some(code)),
            "{method}: {body}"
        );
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains(part), "{message}");
    };
    let invalid = "invalid_argument";
    check(
        stacks,
        json!({ "maxNodes": 1_000_000_000 }),
        400,
        invalid,
        "invalid max_nodes 1000000000",
    )
    .await;
    check(
        stacks,
        json!({ "maxNodes": -1 }),
        400,
        invalid,
        "invalid max_nodes -1",
    )
    .await;
    check(
        stacks,
        json!({ "maxNodes": "many" }),
        400,
        invalid,
        "an integer of 64 bits",
    )
    .await;
    check(
        stacks,
        json!({ "profileTypeID": "" }),
        400,
        invalid,
        "missing profile_typeID",
    )
    .await;
    check(
        stacks,
        json!({ "profileTypeID": "memory:*" }),
        400,
        invalid,
        "invalid profile_typeID",
    )
    .await;
    check(
        stacks,
        json!({ "labelSelector": "{a=" }),
        400,
        invalid,
        "expected a quoted value",
    )
    .await;
    check(
        stacks,
        json!({ "labelSelector": "x".repeat(1 << 20) }),
        400,
        invalid,
        "the limit is 8192",
    )
    .await;
    check(
        stacks,
        json!({ "start": "-5" }),
        400,
        invalid,
        "invalid start -5",
    )
    .await;
    check(
        stacks,
        json!({ "end": "9223372036854775807" }),
        400,
        invalid,
        "invalid end",
    )
    .await;
    check(
        stacks,
        json!({ "end": 5 }),
        400,
        invalid,
        "is not before end",
    )
    .await;
    check(
        stacks,
        json!({ "format": "PROFILE_FORMAT_NONE" }),
        400,
        invalid,
        "unknown value",
    )
    .await;
    check(
        stacks,
        json!({ "format": 9 }),
        400,
        invalid,
        "unknown format 9",
    )
    .await;
    check(
        stacks,
        json!({ "spanSelector": ["zz"] }),
        400,
        invalid,
        "expected hexadecimal digits",
    )
    .await;
    check(
        stacks,
        json!({ "profileIdSelector": ["7c9e6679"] }),
        400,
        invalid,
        "in profile_id_selector; expected a UUID",
    )
    .await;
    let go_pgo = json!({ "stackTraceSelector": { "goPgo": { "keepLocations": 5 } } });
    check("SelectMergeProfile", go_pgo, 501, "unimplemented", "go_pgo").await;
    check(
        "SelectMergeSpanProfile",
        json!({}),
        400,
        invalid,
        "missing span_selector",
    )
    .await;
    check(
        "SelectSeries",
        json!({ "step": 0 }),
        400,
        invalid,
        "invalid step 0",
    )
    .await;
    check(
        "SelectSeries",
        json!({ "step": "NaN" }),
        400,
        invalid,
        "invalid step NaN",
    )
    .await;
    check(
        "SelectSeries",
        json!({ "step": 0.1 }),
        400,
        invalid,
        "exceed the limit of 11000",
    )
    .await;
    check(
        "SelectSeries",
        json!({ "step": 60, "limit": -1 }),
        400,
        invalid,
        "invalid limit -1",
    )
    .await;
    check(
        "SelectSeries",
        json!({ "step": 60, "groupBy": vec!["a"; 9] }),
        400,
        invalid,
        "9 labels, the limit is 8",
    )
    .await;
    check("LabelValues", json!({}), 400, invalid, "missing name").await;
    check(
        "LabelNames",
        json!({ "matchers": vec!["{}"; 17] }),
        400,
        invalid,
        "17 matchers, the limit is 16",
    )
    .await;
    check(
        "Nothing",
        json!({}),
        501,
        "unimplemented",
        "unknown method \"Nothing\"",
    )
    .await;
    // Ten years is a range like any other: there is nothing before what is kept.
    let ten_years = world
        .call(
            "anonymous",
            stacks,
            &request(json!({ "start": 1_400_000_000_000i64 })),
        )
        .await;
    assert_eq!(ten_years.0, 200, "{ten_years:?}");
}

#[tokio::test]
async fn wrong_bodies_get_the_error_of_their_protocol() {
    let world = World::filled().await;
    let path = "/querier.v1.QuerierService/LabelNames";
    let selector = "x".repeat(10 << 20);
    let mut large = vec![0x0a, 0x80, 0x80, 0x80, 0x05];
    large.extend(selector.as_bytes());
    let bomb = gzip::compress(&vec![b' '; 64 << 20]);
    let grpc = [
        ("content-type", "application/grpc"),
        ("grpc-encoding", "gzip"),
    ];
    for (body, expected) in [
        (frame(0, &large), "8"),
        (frame(1, &bomb), "8"),
        (frame(0, b"\xff\xff"), "3"),
        (frame(0, b"\x08\x01")[..6].to_vec(), "3"),
        (vec![0, 0], "3"),
        (Vec::new(), "12"),
        ([frame(0, &[]), frame(0, &[])].concat(), "12"),
        (frame(1, b"no gzip"), "3"),
    ] {
        let (status, headers, _, _) = post(&world, path, &grpc, body).await;
        assert_eq!(
            (status, headers["grpc-status"].to_str().ok()),
            (200, Some(expected)),
            "{headers:?}"
        );
    }
    let connect = |encoding| {
        [
            ("content-type", "application/proto"),
            ("content-encoding", encoding),
        ]
    };
    for (encoding, body, status, code) in [
        ("identity", large.clone(), 429, "resource_exhausted"),
        ("gzip", bomb.clone(), 429, "resource_exhausted"),
        ("gzip", b"no gzip".to_vec(), 400, "invalid_argument"),
        ("snappy", b"".to_vec(), 501, "unimplemented"),
        ("identity", b"\xff\xff".to_vec(), 400, "invalid_argument"),
    ] {
        let (got, _, body, _) = post(&world, path, &connect(encoding), body).await;
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((got, &body["code"]), (status, &json!(code)), "{body}");
    }
    for media in [
        "",
        "text/plain",
        "application/connect+proto",
        "application/grpc-web-text",
        "application/grpc+thrift",
    ] {
        let (status, headers, _, _) =
            post(&world, path, &[("content-type", media)], Vec::new()).await;
        assert_eq!(status, 415, "{media}");
        assert!(
            headers["accept-post"]
                .to_str()
                .expect("a text")
                .contains("application/proto")
        );
    }
    let json = |name, value| [("content-type", "application/json"), (name, value)];
    for (name, value, part) in [
        ("connect-protocol-version", "2", "unsupported version"),
        (
            "connect-timeout-ms",
            "soon",
            "invalid header connect-timeout-ms",
        ),
        ("x-scope-orgid", &"t".repeat(200), "longer than 128 bytes"),
    ] {
        let (status, _, body, _) = post(&world, path, &json(name, value), b"{}".to_vec()).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            status == 400 && body.contains(part),
            "{name}: {status} {body}"
        );
    }
}

#[tokio::test]
async fn expired_timeout_ends_the_query() {
    let world = World::filled().await;
    let path = "/querier.v1.QuerierService/LabelNames";
    let headers = [
        ("content-type", "application/json"),
        ("connect-timeout-ms", "0"),
    ];
    let (status, _, body, _) = post(&world, path, &headers, b"{}".to_vec()).await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (status, &body["code"]),
        (504, &json!("deadline_exceeded")),
        "{body}"
    );
}
