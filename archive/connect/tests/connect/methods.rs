//! What the methods answer.

use crate::support::{CPU, HEAP, World, bars, int};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

fn texts(value: &Value) -> Vec<&str> {
    let texts = value.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text")).collect()
}

#[tokio::test]
async fn types_and_labels_are_those_that_grafana_asks_for() {
    let world = World::filled().await;
    let types = world.ask("ProfileTypes", world.over(json!({}))).await;
    let heap = json!({
        "ID": HEAP, "name": "memory", "sampleType": "inuse_space", "sampleUnit": "bytes",
        "periodType": "space", "periodUnit": "bytes",
    });
    assert_eq!(types["profileTypes"][0], heap);
    assert_eq!(types["profileTypes"][1]["ID"], CPU);

    let web = json!({ "matchers": ["{service_name=\"web\"}"] });
    let names = world.ask("LabelNames", world.over(web)).await;
    let expected = [
        "__name__",
        "__period_type__",
        "__period_unit__",
        "__profile_type__",
        "__type__",
        "__unit__",
        "instance",
        "op",
        "service_name",
    ];
    assert_eq!(texts(&names["names"]), expected);
    let none = json!({ "matchers": ["{service_name=\"none\"}"] });
    assert_eq!(
        world.ask("LabelNames", world.over(none)).await,
        json!({ "names": [] })
    );

    for (name, matcher, expected) in [
        ("service_name", "{}", vec!["api", "web"]),
        ("service_name", "", vec!["api", "web"]),
        ("__profile_type__", "{}", vec![HEAP, CPU]),
        ("__type__", "{service_name=\"api\"}", vec!["cpu"]),
        (
            "service_name",
            &format!("{{__profile_type__=\"{HEAP}\"}}"),
            vec!["web"],
        ),
        (
            "instance",
            "{service_name=~\"w.*\",__name__=\"memory\"}",
            vec!["a", "b"],
        ),
        ("absent", "{}", vec![]),
    ] {
        let request = world.over(json!({ "name": name, "matchers": [matcher] }));
        let values = world.ask("LabelValues", request).await;
        assert_eq!(texts(&values["names"]), expected, "{name} {matcher}");
    }
}

#[tokio::test]
async fn series_are_distinct_label_sets() {
    let world = World::filled().await;
    let pair = |name: &str, value: &str| json!({ "name": name, "value": value });
    let set = |pairs: Vec<Value>| json!({ "labels": pairs });
    let request = world.over(json!({ "labelNames": ["service_name", "__profile_type__"] }));
    let series = world.ask("Series", request).await;
    let kind = |kind| pair("__profile_type__", kind);
    assert_eq!(
        series["labelsSet"],
        json!([
            set(vec![kind(HEAP), pair("service_name", "web")]),
            set(vec![kind(CPU), pair("service_name", "api")]),
            set(vec![kind(CPU), pair("service_name", "web")]),
        ])
    );
    // Without names, all labels; of several matchers, what any selects.
    let matchers = [
        "{service_name=\"api\"}",
        "{instance=\"a\",__name__=\"memory\"}",
    ];
    let all = world
        .ask("Series", world.over(json!({ "matchers": matchers })))
        .await;
    let sets = all["labelsSet"].as_array().expect("a list");
    assert_eq!(sets.len(), 2, "{all}");
    let names: Vec<&Value> = sets[0]["labels"]
        .as_array()
        .expect("labels")
        .iter()
        .map(|of| &of["name"])
        .collect();
    assert_eq!(names.len(), 8, "{all}");
}

#[tokio::test]
async fn flame_graph_has_exact_values_whatever_is_omitted() {
    let world = World::filled().await;
    let request = |more: Value| {
        let mut request =
            world.over(json!({ "profileTypeID": CPU, "labelSelector": "{service_name=\"web\"}" }));
        let fields = request.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        request
    };
    let whole = world
        .ask("SelectMergeStacktraces", request(json!({})))
        .await;
    let graph = &whole["flamegraph"];
    assert_eq!(
        (int(&graph["total"]), int(&graph["maxSelf"])),
        (19_000, 12_000)
    );
    let bar = |depth, start, total, own, name: &str| (depth, start, total, own, name.to_owned());
    assert_eq!(
        bars(graph, 1, 0),
        [
            bar(0, 0, 19_000, 0, "total"),
            bar(1, 0, 19_000, 0, "main"),
            bar(2, 0, 1_000, 1_000, "gc"),
            bar(2, 1_000, 18_000, 4_000, "serve"),
            bar(3, 1_000, 12_000, 12_000, "encode"),
            bar(3, 13_000, 2_000, 2_000, "parse"),
        ]
    );
    let small = world
        .ask(
            "SelectMergeStacktraces",
            request(json!({ "maxNodes": "3" })),
        )
        .await;
    assert_eq!(
        bars(&small["flamegraph"], 1, 0)[2..],
        [
            bar(2, 0, 1_000, 1_000, "other"),
            bar(2, 1_000, 18_000, 4_000, "serve"),
            bar(3, 1_000, 12_000, 12_000, "encode"),
            bar(3, 13_000, 2_000, 2_000, "other"),
        ]
    );
    let site =
        json!({ "stackTraceSelector": { "callSite": [{ "name": "main" }, { "name": "serve" }] } });
    let below = world.ask("SelectMergeStacktraces", request(site)).await;
    assert_eq!(int(&below["flamegraph"]["total"]), 18_000);

    // The tree in the form that agents push, too.
    let tree = world
        .ask(
            "SelectMergeStacktraces",
            request(json!({ "format": "PROFILE_FORMAT_TREE" })),
        )
        .await;
    let bytes = decode_base64(tree["tree"].as_str().expect("a tree"));
    let options = davy_import::Options::default();
    let decoded = davy_import::decode(&bytes, davy_import::Format::Tree, &options);
    let decoded = decoded.expect("a tree").profiles.remove(0).profile;
    let sum: i64 = (0..decoded.sample_count())
        .map(|at| decoded.values(at)[0])
        .sum();
    assert_eq!(sum, 19_000);

    let dot = world
        .ask("SelectMergeStacktraces", request(json!({ "format": 3 })))
        .await;
    let dot = dot["dot"].as_str().expect("a graph");
    assert!(
        dot.contains("[label=\"serve\\n4000 of 18000 nanoseconds (94.7 %)\"]"),
        "{dot}"
    );

    let pprof = world
        .ask(
            "SelectMergeStacktraces",
            request(json!({ "format": "PROFILE_FORMAT_PPROF" })),
        )
        .await;
    let profile = &pprof["pprof"]["profile"];
    let merged = world.ask("SelectMergeProfile", request(json!({}))).await;
    for profile in [profile, &merged] {
        let samples = profile["sample"].as_array().expect("samples").iter();
        assert_eq!(samples.map(|of| int(&of["value"][0])).sum::<i64>(), 19_000);
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("base64")
}

#[tokio::test]
async fn spans_select_their_samples() {
    let world = World::filled().await;
    let request = |method: &'static str, span: &str| {
        let request = json!({ "profileTypeID": CPU, "labelSelector": "{service_name=\"web\"}", "spanSelector": [span] });
        let request = world.over(request);
        let world = &world;
        async move { world.ask(method, request).await }
    };
    for method in ["SelectMergeSpanProfile", "SelectMergeStacktraces"] {
        let found = request(method, "00f067aa0ba902b7").await;
        assert_eq!(int(&found["flamegraph"]["total"]), 2_000, "{method}");
        let other = request(method, "00f067aa0ba902b8").await;
        assert_eq!(int(&other["flamegraph"]["total"]), 0, "{method}");
    }
}

/// Timestamps relative to now in minutes, and values.
fn points(world: &World, series: &Value) -> Vec<(f64, f64)> {
    let now = world.clock.now().millis();
    let points = series["points"].as_array().expect("points").iter();
    let of = |point: &Value| {
        let minutes = (int(&point["timestamp"]) - now) as f64 / 60_000.0;
        (minutes, point["value"].as_f64().expect("a value"))
    };
    points.map(of).collect()
}

#[tokio::test]
async fn series_have_the_values_of_each_step_at_its_end() {
    let world = World::filled().await;
    let request = |more: Value| {
        let mut request = json!({ "profileTypeID": CPU, "step": 60 });
        let fields = request.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        world.over(request)
    };
    let all = world.ask("SelectSeries", request(json!({}))).await;
    let series = &all["series"][0];
    assert_eq!(series["labels"], json!([]));
    assert_eq!(
        points(&world, series),
        [(-9.0, 9_500.0), (-4.0, 9_500.0), (-3.0, 7_000.0)]
    );
    let by = json!({ "groupBy": ["service_name"], "limit": "1", "step": 3_600.0 });
    let by = world.ask("SelectSeries", request(by)).await;
    assert_eq!(by["series"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        by["series"][0]["labels"],
        json!([{ "name": "service_name", "value": "web" }])
    );
    assert_eq!(points(&world, &by["series"][0]), [(0.0, 19_000.0)]);
    // The mean of the windows of a step: four of `web`.
    let mean = json!({
        "labelSelector": "{service_name=\"web\"}", "step": 3_600,
        "aggregation": "TIME_SERIES_AGGREGATION_TYPE_AVERAGE",
    });
    let mean = world.ask("SelectSeries", request(mean)).await;
    assert_eq!(points(&world, &mean["series"][0]), [(0.0, 4_750.0)]);
    let site = json!({
        "labelSelector": "{service_name=\"web\"}", "step": 3_600,
        "stackTraceSelector": { "callSite": [{ "name": "main" }, { "name": "serve" }] },
    });
    let site = world.ask("SelectSeries", request(site)).await;
    assert_eq!(points(&world, &site["series"][0]), [(0.0, 18_000.0)]);
    // States are averaged over time and added up over instances.
    let heap = json!({ "profileTypeID": HEAP, "step": 3_600 });
    let heap = world.ask("SelectSeries", request(heap)).await;
    assert_eq!(points(&world, &heap["series"][0]), [(0.0, 1_520.0)]);
}

#[tokio::test]
async fn diff_compares_two_selections() {
    let world = World::filled().await;
    let now = world.clock.now().millis();
    let side = |from: i64, until: i64, selector: &str| {
        json!({
            "profileTypeID": CPU, "labelSelector": selector,
            "start": now - from * 60_000, "end": now - until * 60_000,
        })
    };
    let request = json!({
        "left": side(12, 8, "{service_name=\"web\"}"),
        "right": side(12, 3, "{instance=\"a\"}"),
    });
    let diff = world.ask("Diff", request).await;
    let graph = &diff["flamegraph"];
    let ticks = ["leftTicks", "rightTicks", "total"].map(|name| int(&graph[name]));
    assert_eq!(ticks, [9_500, 9_500, 19_000]);
    let left = bars(graph, 2, 0);
    assert_eq!(left[0], (0, 0, 9_500, 0, "total".to_owned()));
    assert!(
        left.contains(&(3, 500, 6_000, 6_000, "encode".to_owned())),
        "{left:?}"
    );
    let missing = world
        .call("anonymous", "Diff", &json!({ "left": side(12, 8, "{}") }))
        .await;
    assert_eq!(missing.0, 400, "{missing:?}");
}

#[tokio::test]
async fn heatmap_counts_windows_by_value() {
    let world = World::filled().await;
    let request = json!({ "profileTypeID": CPU, "step": 3_600, "queryType": "HEATMAP_QUERY_TYPE_INDIVIDUAL" });
    let all = world.ask("SelectHeatmap", world.over(request)).await;
    let slot = &all["series"][0]["slots"][0];
    let counts: Vec<i64> = slot["counts"]
        .as_array()
        .expect("counts")
        .iter()
        .filter_map(Value::as_i64)
        .collect();
    assert_eq!(counts.iter().sum::<i64>(), 5);
    assert_eq!((counts[0], counts.last()), (4, Some(&1)), "{slot}");
    assert_eq!(slot["yMin"][0], 4_750.0);
    let spans =
        json!({ "profileTypeID": CPU, "step": 3_600, "queryType": 2, "groupBy": ["instance"] });
    let spans = world.ask("SelectHeatmap", world.over(spans)).await;
    assert_eq!(spans["series"].as_array().map(Vec::len), Some(2), "{spans}");
    assert_eq!(spans["series"][0]["slots"][0]["yMin"], json!([500.0]));
    assert_eq!(spans["series"][0]["slots"][0]["counts"], json!([2]));
}

#[tokio::test]
async fn statistics_tell_what_is_stored() {
    let world = World::new();
    let empty = world.ask("GetProfileStats", json!({})).await;
    assert_eq!(empty["dataIngested"], false);
    let world = World::filled().await;
    let stats = world.ask("GetProfileStats", json!({})).await;
    assert_eq!(stats["dataIngested"], true);
    let now = world.clock.now().millis();
    assert_eq!(int(&stats["oldestProfileTime"]), now - 1_800_000);
    assert_eq!(int(&stats["newestProfileTime"]), now);
    let request = world.over(json!({ "query": format!("{CPU}{{service_name=\"web\"}}") }));
    let analysis = world.ask("AnalyzeQuery", request).await;
    let scope = &analysis["queryScopes"][0];
    // Two instances, each with the series of `Get`, `Put` with a span, and none of both.
    assert_eq!(
        (int(&scope["seriesCount"]), int(&scope["profileCount"])),
        (6, 4)
    );
    assert!(int(&analysis["queryImpact"]["totalBytesInTimeRange"]) > 1_000);
}

#[tokio::test]
async fn render_answers_older_clients() {
    let world = World::filled().await;
    let get = |path: String| {
        let world = &world;
        async move {
            let request = Request::get(&path).body(Body::empty()).expect("a request");
            let (status, headers, body) = world.exchange(request).await;
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            assert!(headers.contains_key("davy-cost"), "{path}: {headers:?}");
            body
        }
    };
    let query = "query=process_cpu:cpu:nanoseconds:cpu:nanoseconds%7Bservice_name=%22web%22%7D";
    let body = get(format!(
        "/pyroscope/render?{query}&from=now-1h&until=now&groupBy=instance"
    ))
    .await;
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    let flamebearer = &answer["flamebearer"];
    assert_eq!(
        (
            flamebearer["numTicks"].as_i64(),
            flamebearer["maxSelf"].as_i64()
        ),
        (Some(19_000), Some(12_000))
    );
    assert_eq!(bars(flamebearer, 1, 0).len(), 6);
    assert_eq!(answer["metadata"]["format"], "single");
    assert_eq!(answer["metadata"]["sampleRate"], 1_000_000_000);
    let sum = |timeline: &Value| -> i64 {
        let samples = timeline["samples"].as_array().expect("samples").iter();
        samples.filter_map(Value::as_i64).sum()
    };
    assert_eq!(sum(&answer["timeline"]), 19_000);
    assert_eq!(
        sum(&answer["groups"]["{instance=\"a\"}"]),
        9_500,
        "{answer}"
    );

    let dot = get(format!("/pyroscope/render?{query}&format=dot")).await;
    assert!(
        dot.starts_with(b"digraph"),
        "{}",
        String::from_utf8_lossy(&dot)
    );

    let sides =
        query.replace("query=", "leftQuery=") + "&" + &query.replace("query=", "rightQuery=");
    let diff = get(format!(
        "/pyroscope/render-diff?{sides}&leftFrom=now-8m&rightFrom=now-1h"
    ))
    .await;
    let diff: Value = serde_json::from_slice(&diff).expect("JSON");
    assert_eq!(
        (diff["leftTicks"].as_i64(), diff["rightTicks"].as_i64()),
        (Some(9_500), Some(19_000))
    );
    assert_eq!(bars(&diff["flamebearer"], 2, 1).len(), 6);

    let values = get("/pyroscope/label-values?label=service_name".to_owned()).await;
    assert_eq!(values, b"[\"api\",\"web\"]");
}
