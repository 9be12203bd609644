//! Pushes as real agents send them, and the results of queries.

use crate::support::{CPU, WEB, World, cpu, push_request};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use davy_profile::{Limits, gzip, pprof};

#[tokio::test]
async fn multipart_of_the_go_agent_becomes_a_series_per_sample_type() {
    let world = World::new();
    let mut profile = davy_profile::Profile::new();
    profile.add_sample_type("samples", "count");
    profile.add_sample_type("cpu", "nanoseconds");
    profile.period_type = profile.sample_types[1];
    let main = profile.named_location("main.main");
    let stack = profile.stack([main]);
    let labels = profile.text_labels(&[("op", "List")]);
    profile.add_sample(stack, labels, &[3, 30_000_000]);
    let body = multipart(
        &profile,
        "{\"cpu\":{\"units\":\"nanoseconds\",\"sampled\":true}}",
    );
    let now = world.clock.now().seconds();
    let uri = format!(
        "/ingest?name=shop.app%7Bregion%3Deu%7D&from={}&until={now}&spyName=gospy&sampleRate=100&units=&aggregationType=sum",
        now - 15
    );
    let request = Request::post(uri)
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(Body::from(body))
        .expect("a request");
    let (status, body) = world.call(request).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let types = world
        .json(&format!("/api/v1/profiles/types?{}", world.range("")))
        .await;
    assert_eq!(
        types,
        serde_json::json!([CPU, "process_cpu:samples:count:cpu:nanoseconds"])
    );
    let names = world
        .json(&format!("/api/v1/profiles/labels?{}", world.range("")))
        .await;
    assert_eq!(
        names,
        serde_json::json!(["__name__", "op", "region", "service_name"])
    );
    assert_eq!(
        world.folded(&format!("type={CPU}&by=op,region")).await,
        "op=List;region=eu;main.main 30000000"
    );
}

/// The body of an agent's push, with its boundary `XX`.
fn multipart(profile: &davy_profile::Profile, config: &str) -> Vec<u8> {
    let raw = gzip::compress(&pprof::encode(profile));
    let mut body = Vec::new();
    for (name, content) in [
        ("profile", raw.as_slice()),
        ("sample_type_config", config.as_bytes()),
    ] {
        body.extend_from_slice(
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"profile.pprof\"\r\nContent-Type: application/octet-stream\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

/// Pushes a profile of one sample type with the values 4 and 6, ten seconds apart. Returns the type under which
/// it is stored, and the response to a query of both.
async fn described(
    kind: (&str, &str),
    config: &str,
) -> Result<(String, serde_json::Value), String> {
    let world = World::new();
    let now = world.clock.now().seconds();
    for (value, from) in [(4, now - 30), (6, now - 20)] {
        let mut profile = davy_profile::Profile::new();
        profile.add_sample_type(kind.0, kind.1);
        let main = profile.named_location("main.main");
        let stack = profile.stack([main]);
        profile.add_sample(stack, davy_profile::LabelSetId(0), &[value]);
        let uri = format!("/ingest?name=shop&from={from}&until={}", from + 10);
        let request = Request::post(uri)
            .header("content-type", "multipart/form-data; boundary=XX")
            .body(Body::from(multipart(&profile, config)))
            .expect("a request");
        let (status, body) = world.call(request).await;
        if status != 200 {
            return Err(format!("{status} {}", String::from_utf8_lossy(&body)));
        }
    }
    let types = world
        .json(&format!("/api/v1/profiles/types?{}", world.range("")))
        .await;
    let kind = types[0].as_str().expect("a type").to_owned();
    let top = world
        .json(&format!(
            "/api/v1/profiles/top?{}",
            world.range(&format!("type={kind}"))
        ))
        .await;
    Ok((kind, top))
}

#[tokio::test]
async fn description_of_sample_types_names_them_and_decides_how_they_are_added_up() {
    let average = "\"aggregation\":\"average\"";
    for (kind, config, id, aggregation, total) in [
        (("queue", ""), String::new(), "queue:queue:::", "sum", 10),
        (
            ("queue", ""),
            format!("{{\"queue\":{{\"units\":\"objects\",\"display-name\":\"jobs\",{average}}}}}"),
            "jobs:queue:objects::",
            "average",
            5,
        ),
        // The profile's own unit, and what is known of a type, count more.
        (
            ("alloc_space", "bytes"),
            format!("{{\"alloc_space\":{{\"units\":\"objects\",{average}}}}}"),
            "memory:alloc_space:bytes::",
            "sum",
            10,
        ),
        (
            ("delay", ""),
            "{\"delay\":{\"units\":\"lock_nanoseconds\",\"display-name\":\"block_duration\"}}"
                .to_owned(),
            "block:delay:nanoseconds::",
            "sum",
            10,
        ),
        (
            ("delay", "nanoseconds"),
            "{\"delay\":{\"display-name\":\"mutex_duration\",\"cumulative\":false,\"new\":[1]}}"
                .to_owned(),
            "mutex:delay:nanoseconds::",
            "sum",
            10,
        ),
    ] {
        let (stored, top) = described(kind, &config).await.expect("accepted");
        assert_eq!(stored, id, "{config}");
        assert_eq!(top["aggregation"], aggregation, "{config}");
        assert_eq!(top["total"], total, "{config}");
    }
}

#[tokio::test]
async fn cumulative_or_invalid_description_of_sample_types_is_refused() {
    for (config, reason) in [
        (
            "{\"alloc_space\":{\"cumulative\":true}}",
            "\"alloc_space\" is cumulative; the agent must send deltas",
        ),
        ("[1]", "invalid sample_type_config; expected JSON such as"),
        ("{", "invalid sample_type_config; expected JSON such as"),
    ] {
        let refused = described(("alloc_space", "bytes"), config).await;
        let refused = refused.expect_err("refused").replace('\\', "");
        assert!(refused.starts_with('4'), "{refused}");
        assert!(refused.contains(reason), "{refused}");
    }
}

#[tokio::test]
async fn folded_stacks_of_the_python_agent_are_scaled_to_nanoseconds() {
    let world = World::new();
    let now = world.clock.now().seconds();
    let uri = format!(
        "/pyroscope/ingest?name=py%7Bx%3D1%7D&from={}&until={now}&format=folded&sampleRate=100&spyName=pyspy",
        now - 10
    );
    let body = gzip::compress(b"main.py:run;main.py:work 7\nmain.py:run 1\n");
    let request = Request::post(uri)
        .header("content-encoding", "gzip")
        .body(Body::from(body))
        .expect("a request");
    let (status, body) = world.call(request).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let folded = world
        .folded(&format!(
            "type={CPU}&selector=%7Bservice_name%3D%22py%22%7D"
        ))
        .await;
    assert_eq!(
        folded,
        "main.py:run 10000000\nmain.py:run;main.py:work 70000000"
    );
    let uri = format!("/ingest?name=rb.wall&until={now}&format=lines&sampleRate=100");
    let request = Request::post(uri)
        .body(Body::from("a;b\na;b\n"))
        .expect("a request");
    assert_eq!(world.call(request).await.0, 200);
    assert_eq!(
        world
            .folded("all_services=true&type=wall:wall:nanoseconds:wall:nanoseconds")
            .await,
        "a;b 20000000"
    );
}

#[tokio::test]
async fn push_in_json_is_accepted() {
    let world = World::new();
    let raw =
        base64::engine::general_purpose::STANDARD.encode(cpu(&world.clock, &[(&["main"], 5, &[])]));
    let body = serde_json::json!({"series": [{
        "labels": [{"name": "service_name", "value": "web"}, {"name": "__name__", "value": "process_cpu"}],
        "samples": [{"rawProfile": raw, "ID": "b7e6a3f0-0000-4000-8000-000000000000"}],
    }]});
    let request = Request::post("/push.v1.PusherService/Push")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(Body::from(gzip::compress(body.to_string().as_bytes())))
        .expect("a request");
    let (status, answer) = world.call(request).await;
    assert_eq!(
        (status.as_u16(), answer.as_slice()),
        (200, b"{}".as_slice())
    );
    assert_eq!(world.folded(&format!("type={CPU}")).await, "main 5");
}

#[tokio::test]
async fn zstd_body_of_one_or_several_frames_is_accepted() {
    let world = World::new();
    let frame = |id: &str, nanos: i64| {
        let raw = cpu(&world.clock, &[(&["main"], nanos, &[])]);
        zstd::bulk::compress(&push_request(WEB, id, &raw), 3).expect("packed")
    };
    let push = async |body: Vec<u8>| {
        let request = Request::post("/push.v1.PusherService/Push")
            .header("content-type", "application/proto")
            .header("content-encoding", "zstd")
            .body(Body::from(body))
            .expect("a request");
        let (status, answer) = world.call(request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    };
    push(frame("1", 5)).await;
    push([frame("2", 10), frame("3", 20)].concat()).await;
    assert_eq!(world.folded(&format!("type={CPU}")).await, "main 35");
}

#[tokio::test]
async fn pprof_keeps_lines_and_flame_graphs_merge_them() {
    let world = World::new();
    let raw = cpu(
        &world.clock,
        &[
            (&["main", "work"], 30, &[("member", "api")]),
            (&["work"], 12, &[]),
        ],
    );
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    let (status, body) = world
        .get_as(
            "anonymous",
            &format!(
                "/api/v1/profiles/pprof?{}",
                world.range(&format!("type={CPU}"))
            ),
        )
        .await;
    assert_eq!(status, 200);
    let bytes = gzip::unpack(&body, &Limits::default()).expect("gzip");
    let profile = pprof::decode(&bytes, &Limits::default()).expect("pprof");
    let mut lines: Vec<i64> = profile.lines.iter().map(|line| line.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [10, 10, 11]);
    assert_eq!(profile.functions.len(), 2);
    assert!(
        profile
            .functions
            .iter()
            .all(|f| f.start_line == 7 && profile.text(f.file) == "main.rs")
    );

    let top = world
        .json(&format!(
            "/api/v1/profiles/top?{}",
            world.range(&format!("type={CPU}"))
        ))
        .await;
    assert_eq!(
        top["functions"][0],
        serde_json::json!({"name": "work", "file": "main.rs", "self": 42, "total": 42})
    );
    let by = world.folded(&format!("type={CPU}&by=member")).await;
    assert_eq!(by, "member=(untagged);work 12\nmember=api;main;work 30");
    let focus = world.folded(&format!("type={CPU}&focus=%5Emain$")).await;
    assert_eq!(focus, "main;work 30");
    let selected = world
        .folded(&format!("type={CPU}&selector=%7Bmember%3D~%22a.*%22%7D"))
        .await;
    assert_eq!(selected, "main;work 30");

    let tree = world
        .json(&format!(
            "/api/v1/profiles/flamegraph?{}",
            world.range(&format!("type={CPU}"))
        ))
        .await;
    assert_eq!(tree["total"], 42, "{tree}");
    let (_, svg) = world
        .get_as(
            "anonymous",
            &format!(
                "/api/v1/profiles/svg?{}",
                world.range(&format!("type={CPU}"))
            ),
        )
        .await;
    assert!(String::from_utf8_lossy(&svg).contains("<svg"));
}

#[tokio::test]
async fn diff_has_the_values_of_both_sides() {
    let world = World::new();
    let before = world.clock.now();
    let raw = cpu(
        &world.clock,
        &[(&["main", "old"], 30, &[]), (&["main"], 1, &[])],
    );
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    world.clock.advance(std::time::Duration::from_mins(1));
    let raw = cpu(
        &world.clock,
        &[(&["main", "new"], 40, &[]), (&["main"], 2, &[])],
    );
    assert_eq!(world.push("", WEB, "2", &raw).await.0, 200);
    let (from, until) = (world.clock.now().millis(), world.clock.now().millis() + 1);
    let path = format!(
        "/api/v1/profiles/diff?type={CPU}&from={from}&until={until}&base_from={}&base_until={from}",
        before.millis()
    );
    let diff = world.json(&path).await;
    let main = &diff["tree"]["children"][0];
    assert_eq!(
        (&main["total"], &main["base_total"]),
        (&42.into(), &31.into()),
        "{diff}"
    );
    assert_eq!(
        (&main["self"], &main["base_self"]),
        (&2.into(), &1.into()),
        "{diff}"
    );
    assert_eq!(main["children"].as_array().map(Vec::len), Some(2), "{diff}");
}

#[tokio::test]
async fn label_with_a_value_per_request_is_dropped() {
    let world = World::new();
    let ids: Vec<String> = (0..1_500).map(|id| id.to_string()).collect();
    let labels: Vec<[(&str, &str); 2]> = ids
        .iter()
        .map(|id| [("request", id.as_str()), ("op", "List")])
        .collect();
    let samples: Vec<_> = labels
        .iter()
        .map(|labels| (["main"].as_slice(), 1, labels.as_slice()))
        .collect();
    let raw = cpu(&world.clock, &samples);
    assert_eq!(world.push("", WEB, "1", &raw).await.0, 200);
    let names = world
        .json(&format!("/api/v1/profiles/labels?{}", world.range("")))
        .await;
    assert_eq!(names, serde_json::json!(["__name__", "op", "service_name"]));
    assert_eq!(
        world.folded(&format!("type={CPU}&by=op")).await,
        "op=List;main 1500"
    );
}
