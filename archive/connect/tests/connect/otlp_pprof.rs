//! The same samples as OTLP and as pprof.

use crate::otlp_encoder;
use crate::program::program;
use crate::protocols::post;
use crate::support::{CPU, World, int};
use crate::window::window;
use davy_base::Random;
use davy_profile::{Limits, gzip, pprof};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The values of the stacks of a profile, with everything that is known of their frames.
fn stacks(profile: &Value) -> BTreeMap<String, i64> {
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let number = |of: &Value| {
        of.as_str()
            .map_or(0, |text| text.parse().expect("a number"))
    };
    let strings = list(&profile["stringTable"]);
    let text = |of: &Value| {
        strings[number(of) as usize]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    let by_id = |name: &str| -> BTreeMap<u64, Value> {
        let all = list(&profile[name]).into_iter();
        all.map(|of| (number(&of["id"]), of)).collect()
    };
    let (functions, locations) = (by_id("function"), by_id("location"));
    let mappings = by_id("mapping");
    let frame = |id: &Value| {
        let location = &locations[&number(id)];
        let lines = list(&location["line"]).into_iter().map(|line| {
            let function = &functions[&number(&line["functionId"])];
            let (name, file) = (text(&function["name"]), text(&function["filename"]));
            format!("{name} {file}:{}", number(&line["line"]))
        });
        let build = mappings.get(&number(&location["mappingId"]));
        let build = build.map_or_else(String::new, |of| text(&of["buildId"]));
        let lines: Vec<String> = lines.collect();
        format!(
            "{} {:x} {build}",
            lines.join(" in "),
            number(&location["address"])
        )
    };
    let mut stacks = BTreeMap::new();
    for sample in list(&profile["sample"]) {
        let path: Vec<String> = list(&sample["locationId"]).iter().map(frame).collect();
        *stacks.entry(path.join("; ")).or_default() += int(&sample["value"][0]);
    }
    stacks
}

/// Pushes generated profiles in both formats, and compares what queries return.
async fn check(limits: Limits, seeds: std::ops::Range<u64>) -> String {
    let world = World::with_limits(limits);
    let start = world.clock.now().minus(Duration::from_mins(5));
    for seed in seeds {
        let mut random = Random::seeded(seed);
        let program = program(seed as usize, &mut random);
        let time = start.plus(Duration::from_secs(seed));
        let profile = window(&program, 60, time, &mut random);
        let body = gzip::compress(&otlp_encoder::request(&profile, "otlp"));
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "gzip"),
        ];
        let (status, _, body, _) = post(&world, "/v1development/profiles", &headers, body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let body = gzip::compress(&pprof::encode(&profile));
        let (status, _, body, _) = post(&world, "/ingest?name=pprof", &[], body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }
    let mut answers = Vec::new();
    for service in ["otlp", "pprof"] {
        let of = json!({ "profileTypeID": CPU, "labelSelector": format!("{{service_name=\"{service}\"}}") });
        let profile = world.ask("SelectMergeProfile", world.over(of)).await;
        answers.push((stacks(&profile), profile["durationNanos"].clone()));
    }
    assert!(answers[0].0.len() > 30, "{}", answers[0].0.len());
    assert_eq!(answers[0], answers[1]);
    let names: Vec<String> = answers.remove(0).0.into_keys().collect();
    names.join("\n")
}

#[tokio::test]
async fn same_samples_have_the_same_stacks_as_otlp_and_as_pprof() {
    let stacks = check(Limits::default(), 0..8).await;
    assert!(!stacks.contains("(truncated)"));
    // Small limits: long names and deep stacks are shortened in the same way.
    let limits = Limits {
        depth: 12,
        string: 38,
        ..Limits::default()
    };
    let stacks = check(limits, 8..12).await;
    assert!(stacks.contains("(truncated)") && stacks.contains('…'));
}
