//! What other profilers send: every accepted sample is right, and what is odd does not cost the profile.

use crate::support::World;
use crate::support::requests::{ingest, one_type, packed, selector, stacks, take, types, view};
use davy_profile::{LabelSetId, NodeId, pprof};
use std::time::Duration;

#[tokio::test]
async fn text_is_read_correctly_or_refused_with_the_reason() {
    let world = World::new();
    let mut number = 0;
    let mut check = async |body: &[u8], expected: &str| {
        number += 1;
        let service = format!("s{number}");
        let (status, answer) = ingest(&world, &format!("name={service}"), "", body.to_vec()).await;
        let got = match status {
            200 => stacks(&world, "cpu", &service).await,
            _ => answer,
        };
        assert!(
            got.contains(expected) && (status != 200 || got == expected),
            "{status} {got}"
        );
    };
    check(b"# written by hand\nmain;work 3\n", "main;work 30000000").await;
    check(b"\xef\xbb\xbfmain;work 3\r\n", "main;work 30000000").await;
    let utf16: Vec<u8> = "\u{feff}main;work 3\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check(&utf16, "main;work 30000000").await;
    check(
        b"main;work 12.5\nmain 1e1\n",
        "main 100000000\nmain;work 125000000",
    )
    .await;
    check(b"main;work 3\nmain;wo", "main;work 30000000").await;
    check(
        b"class@anonymous\0/p.php;run 3\n",
        "class@anonymous%00/p.php;run 30000000",
    )
    .await;
    check(b"main;a 10main;b 20main;c 5", "curl --data-binary").await;
    check(
        b"main;a 1000000000000\n",
        "exceeds 64 bits; if the counts are not samples",
    )
    .await;
    check(
        b"<!DOCTYPE html><title>502 Bad Gateway</title>",
        "HTML page titled",
    )
    .await;
    check(b"{\"error\": 1}", "got JSON with the keys").await;
    check(b" \n", "empty body").await;
    let (_, answer) = ingest(&world, "name=noted", "", "main;work 3\nmain;wo\n").await;
    assert_eq!(
        answer,
        "skipped 1 invalid line or sample; the first is number 2: no count after the stack\n"
    );
}

#[tokio::test]
async fn exported_folded_stacks_can_be_pushed_again() {
    let world = World::new();
    let mut p = one_type("inuse_space", "bytes");
    for (name, value) in [
        ("<[u8; 8] as T>::f", 1),
        (" padded", 2),
        ("100% of %3B", 3),
        ("worker 7", 4),
        ("two\nlines", 5),
        ("(no stack)", 6),
        ("# comment", 7),
    ] {
        let locations = [p.named_location(name), p.named_location("leaf")];
        let stack = p.stack(locations);
        p.add_sample(stack, LabelSetId(0), &[value]);
    }
    p.add_sample(NodeId::ROOT, LabelSetId(0), &[8]);
    take(&world, "name=first", packed(&p)).await;
    let exported = stacks(&world, "inuse_space", "first").await;
    assert_eq!(
        exported,
        "%20padded;leaf 2\n%23 comment;leaf 7\n%28no stack);leaf 6\n(no stack) 8\n\
         100% of %253B;leaf 3\n<[u8%3B 8] as T>::f;leaf 1\ntwo%0Alines;leaf 5\nworker 7;leaf 4"
    );
    take(&world, "name=second.inuse_space", format!("{exported}\n")).await;
    assert_eq!(stacks(&world, "inuse_space", "second").await, exported);
}

#[tokio::test]
async fn suffix_and_units_decide_what_counts_are() {
    let world = World::new();
    for (query, kind, value) in [
        (
            "name=a.itimer",
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
            50_000_000,
        ),
        (
            "name=b.lock_count",
            "mutex:contentions:count:contentions:count",
            5,
        ),
        (
            "name=c.alloc_in_new_tlab_bytes",
            "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
            5,
        ),
        (
            "name=d&units=bytes&aggregationType=average",
            "memory:inuse_space:bytes:space:bytes",
            5,
        ),
        (
            "name=e.goroutines&sampleRate=0",
            "goroutines:goroutine:count:goroutine:count",
            5,
        ),
    ] {
        take(&world, query, "main 5\n").await;
        let service = &query[5..6];
        assert_eq!(types(&world, service).await, [kind], "{query}");
        assert_eq!(stacks(&world, kind, service).await, format!("main {value}"));
    }
}

#[tokio::test]
async fn odd_sample_labels_do_not_cost_the_profile() {
    let world = World::new();
    let mut p = one_type("cpu", "nanoseconds");
    let main = p.named_location("main");
    let stack = p.stack([main]);
    let long = "SELECT ".repeat(1_000);
    let labels = [
        ("query", "SELECT 1\nFROM t"),
        ("digest", "\u{fffd}\u{1}\0"),
        ("url", "/static/../../etc/passwd"),
        ("a/b", "slash"),
        ("", "no name"),
        ("sql", long.as_str()),
    ];
    for (at, label) in labels.iter().enumerate() {
        let set = p.text_labels(&[*label]);
        p.add_sample(stack, set, &[1 << at]);
    }
    let many: Vec<(String, String)> = (0..80)
        .map(|at| (format!("n{at:02}"), "v".to_owned()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let set = p.text_labels(&many);
    p.add_sample(stack, set, &[64]);
    take(&world, "name=s", packed(&p)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, "main 127");
    let path = format!("/api/v1/profiles/labels?{}", world.range("name=query"));
    assert_eq!(
        world.json(&path).await,
        serde_json::json!(["SELECT 1\\nFROM t"])
    );
    let path = format!("/api/v1/profiles/labels?{}", world.range("name=a_b"));
    assert_eq!(world.json(&path).await, serde_json::json!(["slash"]));
    assert!(world.keys().await.iter().all(|key| !key.contains("..")));
}

#[tokio::test]
async fn listed_type_can_be_queried_whatever_its_name_contains() {
    let world = World::new();
    let mut p = one_type("cycles:u_sample", "count");
    p.add_sample_type("100%", "count");
    let main = p.named_location("main");
    let stack = p.stack([main]);
    p.add_sample(stack, LabelSetId(0), &[30, 10]);
    take(&world, "name=s", packed(&p)).await;
    let ids = types(&world, "s").await;
    let mut totals = Vec::new();
    for id in &ids {
        totals.push(stacks(&world, id, "s").await);
    }
    assert_eq!(
        ids,
        [
            "cycles%3Au_sample:100%25:count::",
            "cycles%3Au_sample:cycles%3Au_sample:count::"
        ]
    );
    assert_eq!(totals, ["main 10", "main 30"]);
}

#[tokio::test]
async fn short_names_find_types_without_a_period_and_hints_list_the_types_of_the_service() {
    let world = World::new();
    let mut p = one_type("wall", "nanoseconds");
    let main = p.named_location("main");
    let stack = p.stack([main]);
    p.add_sample(stack, LabelSetId(0), &[5]);
    take(&world, "name=s", packed(&p)).await;
    take(&world, "name=other.alloc_space", "main 5\n").await;
    assert_eq!(stacks(&world, "wall", "s").await, "main 5");
    let path = format!(
        "/api/v1/profiles/svg?{}",
        world.range(&format!("type=cpu&{}", selector("s")))
    );
    let (_, svg) = world.get_as("anonymous", &path).await;
    let svg = String::from_utf8_lossy(&svg).into_owned();
    assert!(svg.contains("types: wall<"), "{svg}");
}

#[tokio::test]
async fn states_are_averaged_and_responses_say_what_decided() {
    let check = async |sample: (&str, &str), period: Option<(&str, &str)>, value: i64, by: &str| {
        let world = World::new();
        let mut p = one_type(sample.0, sample.1);
        if let Some(period) = period {
            p.period_type.kind = p.strings.intern(period.0);
            p.period_type.unit = p.strings.intern(period.1);
            p.period = 1;
        }
        if sample.0 == "objects" {
            p.add_sample_type("space", "bytes");
        }
        let main = p.named_location("main");
        let stack = p.stack([main]);
        p.add_sample(stack, LabelSetId(0), &vec![6; p.sample_types.len()]);
        for minutes in [3, 2, 1] {
            p.time_nanos = world
                .clock
                .now()
                .minus(Duration::from_mins(minutes))
                .nanos();
            take(&world, "name=s", packed(&p)).await;
        }
        let id = &types(&world, "s").await[0];
        let top = view(&world, "top", id, "s").await;
        assert_eq!(
            (&top["total"], &top["aggregation_source"]),
            (&value.into(), &by.into()),
            "{id}"
        );
        let series = view(&world, "series", id, "s").await;
        assert_eq!(series["aggregation"], top["aggregation"], "{id}");
    };
    check(("inuse_space", "bytes"), None, 6, "type").await;
    check(
        ("goroutineleak", "count"),
        Some(("goroutineleak", "count")),
        6,
        "type",
    )
    .await;
    check(("threadcreate", "count"), None, 6, "type").await;
    // V8's live heap.
    check(("objects", "count"), None, 6, "type").await;
    check(("cpu", "nanoseconds"), None, 18, "type").await;
    check(
        ("contentions", "count"),
        Some(("contentions", "count")),
        18,
        "type",
    )
    .await;
    // A profile that a Go program defines, and a type of which nothing is known.
    check(
        ("connections", "count"),
        Some(("connections", "count")),
        6,
        "profile",
    )
    .await;
    check(("widgets", "count"), None, 18, "default").await;
}

#[tokio::test]
async fn equal_content_counts_each_time_unless_the_client_states_a_time() {
    let world = World::new();
    let from = world.clock.now().millis();
    for _ in 0..3 {
        take(&world, "name=s", "main 1\n").await;
        take(&world, &format!("name=t&from={from}"), "main 1\n").await;
    }
    assert_eq!(stacks(&world, "cpu", "s").await, "main 30000000");
    assert_eq!(stacks(&world, "cpu", "t").await, "main 10000000");
}

#[tokio::test]
async fn several_profiles_in_one_body_are_refused() {
    let world = World::new();
    let mut p = one_type("cpu", "nanoseconds");
    p.period = 1;
    let raw = pprof::encode(&p);
    for body in [
        [raw.clone(), raw.clone()].concat(),
        [packed(&p), packed(&p)].concat(),
    ] {
        let (status, answer) = ingest(&world, "name=s&format=pprof", "", body).await;
        assert_eq!(status, 422, "{answer}");
        assert!(
            answer.contains("several profiles one after another"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn upload_of_the_java_agent_becomes_a_profile_for_each_kind_of_event() {
    let world = World::new();
    let data =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiler/import/tests/data");
    let read = |name: &str| std::fs::read(data.join(name)).expect("the recording");
    let mut body = Vec::new();
    for (name, content) in [
        ("jfr", read("agent.jfr.gz")),
        ("labels", read("agent.labels.gz")),
    ] {
        body.extend_from_slice(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--x--\r\n");
    let now = world.clock.now().seconds();
    let query = format!(
        "name=java%7Bregion=eu%7D&format=jfr&from={}&until={now}",
        now - 10
    );
    let (status, answer) = ingest(
        &world,
        &query,
        "multipart/form-data; boundary=x",
        body.clone(),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    let kinds = types(&world, "java").await;
    assert!(
        kinds.contains(&"process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned()),
        "{kinds:?}"
    );
    let mut totals = Vec::new();
    for kind in &kinds {
        totals.push(view(&world, "top", kind, "java").await["total"].clone());
    }
    // A retry of the upload counts once.
    let (status, _) = ingest(&world, &query, "multipart/form-data; boundary=x", body).await;
    assert_eq!(status, 200);
    for (kind, total) in kinds.iter().zip(totals) {
        assert_eq!(
            view(&world, "top", kind, "java").await["total"],
            total,
            "{kind}"
        );
        assert_ne!(total, 0, "{kind}");
    }
}
