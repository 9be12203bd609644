//! Profiles of OpenTelemetry, from its own encoder and by hand.

use crate::client::{run, serve};
use crate::protocols::{frame, post};
use crate::support::{CPU, World, int};
use davy_profile::wire::Writer;
use davy_profile::{Limits, gzip};
use prost::Message as _;
use serde_json::{Value, json};

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn total(world: &World, selector: &str) -> i64 {
    let request = json!({ "profileTypeID": CPU, "labelSelector": selector });
    let graph = world
        .ask("SelectMergeStacktraces", world.over(request))
        .await;
    int(&graph["flamegraph"]["total"])
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_of_the_collectors_encoder_are_stored_whatever_carries_them() {
    let world = World::new();
    let url = serve(&world).await;
    let start = world.clock.now().nanos() - 60_000_000_000;
    let Some(output) = run("otlp", &[&url, &start.to_string()]).await else {
        return;
    };
    for service in ["over-protobuf", "over-json", "over-grpc", "over-grpc-gzip"] {
        let of = |rest: &str| format!("{{service_name=\"{service}\"{rest}}}");
        // Seven samples at 100 Hz; those of another service are not counted here.
        assert_eq!(total(&world, &of("")).await, 70_000_000, "{service}");
        assert_eq!(
            total(
                &world,
                &of(",k8s_pod_name=\"web-1\",host_cpus=\"4\",scope_kind=\"ebpf\"")
            )
            .await,
            70_000_000
        );
        assert_eq!(
            total(&world, &of(",thread_name=\"worker\"")).await,
            30_000_000,
            "{service}"
        );
        let sidecar = format!("{{service_name=\"{service}-sidecar\"}}");
        assert_eq!(total(&world, &sidecar).await, 50_000_000, "{service}");
        let linked =
            of(",trace_id=\"4bf92f35000000000000000000000036\",span_id=\"00f06700000000b7\"");
        assert_eq!(total(&world, &linked).await, 20_000_000, "{service}");
        // A native frame without a name keeps its build and address.
        let request = json!({ "profileTypeID": CPU, "labelSelector": of("") });
        let profile = world.ask("SelectMergeProfile", world.over(request)).await;
        let strings = profile["stringTable"].as_array().expect("strings");
        let mapping = &profile["mapping"][0];
        assert_eq!(
            strings[int(&mapping["buildId"]) as usize],
            "b5381a45",
            "{service}"
        );
        assert_eq!(
            strings[int(&mapping["filename"]) as usize],
            "libshop.so",
            "{service}"
        );
        let locations = profile["location"].as_array().expect("locations").iter();
        let unnamed: Vec<&Value> = locations.filter(|of| of["line"] == json!([])).collect();
        assert_eq!(
            (unnamed.len(), int(&unnamed[0]["address"])),
            (1, 0x1234),
            "{service}"
        );
    }
    let refusal = "code = InvalidArgument desc = invalid profile: the sample type has no name";
    assert!(output.contains(refusal), "{output}");
}

/// A request with a sample of a stack, in JSON.
fn request(world: &World, more: Value) -> Value {
    let mut profile = json!({
        "sampleType": { "typeStrindex": 1, "unitStrindex": 2 },
        "periodType": { "typeStrindex": 1, "unitStrindex": 2 },
        "samples": [{ "stackIndex": 1, "values": ["7"] }],
        "timeUnixNano": (world.clock.now().nanos() - 60_000_000_000).to_string(),
        "durationNano": "10000000000",
    });
    let fields = profile.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    json!({
        "resourceProfiles": [{ "scopeProfiles": [{ "profiles": [profile] }] }],
        "dictionary": {
            "stringTable": ["", "cpu", "nanoseconds", "main"],
            "functionTable": [{}, { "nameStrindex": 3 }],
            "locationTable": [{}, { "address": "18446744071578845184", "lines": [{ "functionIndex": 1 }] }],
            "stackTable": [{}, { "locationIndices": [1] }],
        },
    })
}

#[tokio::test]
async fn repeated_export_counts_once() {
    let world = World::new();
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    for (id, expected) in [("", 7), ("00112233445566778899aabbccddeeff", 14)] {
        let request = request(&world, json!({ "profileId": id })).to_string();
        for _ in 0..2 {
            let body = gzip::compress(request.as_bytes());
            let (status, _, body, _) =
                post(&world, "/v1development/profiles", &headers, body).await;
            assert_eq!((status, body), (200, b"{}".to_vec()));
        }
        assert_eq!(
            total(&world, "{service_name=\"unknown_service\"}").await,
            expected,
            "{id}"
        );
    }
}

#[tokio::test]
async fn exemplar_of_a_span_has_the_time_of_its_first_sample() {
    let world = World::new();
    // The window began a minute ago; the span was sampled one and two seconds later, and once by a clock that is wrong.
    let start = world.clock.now().nanos() - 60_000_000_000;
    let times = [2, 1, -9].map(|seconds| (start + seconds * 1_000_000_000).to_string());
    let samples = times.map(|time| {
        json!({ "stackIndex": 1, "linkIndex": 1, "values": ["7"], "timestampsUnixNano": [time] })
    });
    let mut request = request(&world, json!({ "samples": samples }));
    request["dictionary"]["linkTable"] = json!([{}, {
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "spanId": "00f067aa0ba902b7",
    }]);
    let headers = [("content-type", "application/json")];
    let body = request.to_string().into_bytes();
    let (status, ..) = post(&world, "/v1development/profiles", &headers, body).await;
    assert_eq!(status, 200);
    let at = (start + 1_000_000_000) / 1_000_000;
    // A step may end within the window; the exemplar is one of the point with its value.
    for step in [1, 3_600] {
        let ask =
            json!({ "profileTypeID": CPU, "step": step, "exemplarType": "EXEMPLAR_TYPE_SPAN" });
        let answer = world.ask("SelectSeries", world.over(ask)).await;
        let points = answer["series"][0]["points"].as_array().expect("points");
        let exemplars: Vec<&Value> = points
            .iter()
            .filter_map(|point| point["exemplars"].as_array())
            .flatten()
            .collect();
        assert_eq!(exemplars.len(), 1, "{answer}");
        assert_eq!(int(&exemplars[0]["value"]), 21, "{answer}");
        assert_eq!(int(&exemplars[0]["timestamp"]), at, "{answer}");
    }
}

/// Each profile gets a copy of what it needs of the shared dictionary, so these would need hundreds of megabytes.
#[tokio::test]
async fn small_request_that_becomes_large_is_refused() {
    let world = World::with_limits(Limits {
        bytes: 1 << 20,
        ..Limits::default()
    });
    let mut request = request(&world, json!({}));
    let stack = vec![1; 100_000];
    request["dictionary"]["stackTable"][1] = json!({ "locationIndices": stack });
    let profiles = &mut request["resourceProfiles"][0]["scopeProfiles"][0]["profiles"];
    let profile = profiles[0].clone();
    *profiles = Value::Array(vec![profile; 2_000]);
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let body = gzip::compress(request.to_string().as_bytes());
    let (status, _, body, _) = post(&world, "/v1development/profiles", &headers, body).await;
    let body = String::from_utf8_lossy(&body);
    assert_eq!(status, 413, "{body}");
    assert!(
        body.contains(
            "2097152 bytes once each includes its part of the dictionary; split the request"
        ),
        "{body}"
    );
}

/// A message with these fields.
fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut message = Writer::default();
    for (field, bytes) in fields {
        message.bytes(*field, bytes);
    }
    message.into_bytes()
}

/// Some profilers cut names within a character.
#[tokio::test]
async fn name_that_is_not_utf8_keeps_its_sample() {
    let world = World::new();
    // Fields of numbers are written as they are: a key, then a number below 128.
    let dictionary = message(&[
        (2, b""),
        (2, &message(&[(3, b"\x08\x01")])),
        (3, b""),
        (3, b"\x08\x03"),
        (5, b""),
        (5, b"cpu"),
        (5, b"nanoseconds"),
        (5, b"caf\xc3"),
        (7, b""),
        (7, &message(&[(1, b"\x01")])),
    ]);
    let kind = b"\x08\x01\x10\x02";
    let sample = [&b"\x08\x01"[..], &message(&[(4, b"\x07")])].concat();
    let start = (world.clock.now().nanos() - 60_000_000_000).to_le_bytes();
    // The start is a fixed64.
    let profile = message(&[(1, kind), (2, &sample), (5, kind)]);
    let profile = [&profile[..], b"\x19", &start].concat();
    let resource = message(&[(2, &message(&[(2, &profile)]))]);
    let request = message(&[(1, &resource), (2, &dictionary)]);
    let protobuf = [("content-type", "application/x-protobuf")];
    let (status, _, body, _) = post(&world, "/v1development/profiles", &protobuf, request).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let request = json!({ "profileTypeID": CPU, "labelSelector": "" });
    let graph = world
        .ask("SelectMergeStacktraces", world.over(request))
        .await;
    assert_eq!(int(&graph["flamegraph"]["total"]), 7);
    let names = graph["flamegraph"]["names"].as_array().expect("names");
    assert!(names.contains(&json!("caf\u{fffd}")), "{names:?}");
}

#[tokio::test]
async fn refusals_have_the_form_of_otlp() {
    let world = World::new();
    let path = "/v1development/profiles";
    let json = [("content-type", "application/json")];
    for (more, part) in [
        (
            json!({ "samples": [{ "stackIndex": 9, "values": ["7"] }] }),
            "index 9 of stack_table, which has 2 entries",
        ),
        (
            json!({ "samples": [{ "linkIndex": -1 }] }),
            "index -1 of link_table",
        ),
        (
            json!({ "sampleType": { "typeStrindex": 77 } }),
            "index 77 of string_table",
        ),
        (json!({ "sampleType": {} }), "the sample type has no name"),
        (json!({ "profileId": "xyz" }), "an id is not hexadecimal"),
        (json!({ "timeUnixNano": "1000000000000000000" }), "old"),
    ] {
        let body = request(&world, more).to_string().into_bytes();
        let (status, headers, body, _) = post(&world, path, &json, body).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(
            (status, headers["content-type"].as_bytes()),
            (400, &b"application/json"[..]),
            "{text}"
        );
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["code"], 3, "{text}");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| message.contains(part)),
            "{part}: {text}"
        );
    }
    let protobuf = [("content-type", "application/x-protobuf")];
    let (status, _, body, _) = post(&world, path, &protobuf, b"\xff\xff".to_vec()).await;
    let refused = RpcStatus::decode(&*body).expect("a status");
    assert_eq!((status, refused.code), (400, 3), "{}", refused.message);
    let large = vec![0; 65 << 20];
    let (status, _, body, _) = post(&world, path, &protobuf, large).await;
    let refused = RpcStatus::decode(&*body).expect("a status");
    assert_eq!((status, refused.code), (413, 8), "{}", refused.message);
    let (status, ..) = post(&world, path, &[("content-type", "text/plain")], Vec::new()).await;
    assert_eq!(status, 415);

    let service = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService";
    let grpc = [("content-type", "application/grpc")];
    let call = async |method: &str, body: Vec<u8>| {
        let (status, headers, _, trailers) =
            post(&world, &format!("{service}/{method}"), &grpc, body).await;
        assert_eq!(status, 200);
        let status = trailers.unwrap_or(headers)["grpc-status"].clone();
        status.to_str().expect("a number").to_owned()
    };
    assert_eq!(call("Export", frame(0, &[])).await, "0");
    assert_eq!(call("Export", frame(0, b"\xff\xff")).await, "3");
    assert_eq!(call("Export", frame(0, &[])[..3].to_vec()).await, "3");
    assert_eq!(call("Import", frame(0, &[])).await, "12");
}
