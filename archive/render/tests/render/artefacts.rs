//! What artefacts show, and when they are written.

use crate::support::{HOUR, MINUTE, Objects, Sample, World, has_extension, unpacked};
use davy_render::{Focus, RenderOptions, RenderRange, Renderer};
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;

const API: &[(&str, &str)] = &[("member", "api"), ("op", "List")];
const GC: &[(&str, &str)] = &[("member", "gc.audit"), ("op", "tick")];

const SAMPLES: &[Sample<'_>] = &[
    (&["main", "serve", "parse"], 300_000_000, API),
    (&["main", "serve"], 100_000_000, API),
    (&["main", "sweep", "parse"], 50_000_000, GC),
    (&["main", "idle"], 50_000_000, &[]),
];

#[tokio::test]
async fn closed_hour_has_graphs_and_logs_of_each_member_and_of_all() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    let (hour, name) = World::hour(at);
    assert_eq!(world.render().await, [hour]);
    let objects = world.written().await;
    let graphs = "davy/anonymous/flamegraphs/hourly";
    let logs = "davy/anonymous/logs/hourly";
    for member in ["all", "api", "gc.audit"] {
        for key in [
            format!("{graphs}/{name}.cpu.web.{member}.svgz"),
            format!("{graphs}/{name}.cpu.web.{member}.reversed.svgz"),
            format!("{logs}/{name}.cpu.web.{member}.log.gz"),
        ] {
            assert!(objects.contains_key(&key), "{key} in {:?}", objects.keys());
        }
    }
    // Besides: the pages of the hour and of the day, and the calendar.
    assert_eq!(objects.len(), 9 + 3, "{:?}", objects.keys());
    let log = world
        .text(&format!("{logs}/{name}.cpu.web.all.log.gz"))
        .await;
    let expected = "main;idle 50000000\nmain;serve 100000000\nmain;serve;parse 300000000\nmain;sweep;parse 50000000\n";
    assert_eq!(log, expected);
    let log = world
        .text(&format!("{logs}/{name}.cpu.web.gc.audit.log.gz"))
        .await;
    assert_eq!(log, "main;sweep;parse 50000000\n");
    let graph = world
        .text(&format!("{graphs}/{name}.cpu.web.all.svgz"))
        .await;
    assert!(
        graph.contains("<title>parse (300,000 us, 60.00%)</title>"),
        "{graph}"
    );
    assert!(
        graph.contains("total 500 ms; 1 window, which cover 0.3 % of the hour"),
        "{graph}"
    );
    let reversed = world
        .text(&format!("{graphs}/{name}.cpu.web.all.reversed.svgz"))
        .await;
    assert!(
        reversed.contains("<title>parse (350,000 us, 70.00%)</title>"),
        "{reversed}"
    );
    let types = [Some("image/svg+xml".to_owned()), Some("gzip".to_owned())];
    assert_eq!(
        world
            .served(&format!("{graphs}/{name}.cpu.web.all.svgz"))
            .await,
        types
    );
    let types = [
        Some("text/plain; charset=utf-8".to_owned()),
        Some("gzip".to_owned()),
    ];
    assert_eq!(
        world
            .served(&format!("{logs}/{name}.cpu.web.all.log.gz"))
            .await,
        types
    );
}

#[tokio::test]
async fn open_hour_is_not_rendered_and_closed_one_only_once() {
    let world = World::new();
    let now = world.clock.now();
    world.push("anonymous", "web", now, SAMPLES).await;
    let renderer = world.renderer(world.options());
    assert!(world.render_with(&renderer).await.is_empty());
    let end = now.floor(HOUR).plus(HOUR);
    world.clock.advance(end.plus(MINUTE).since(now));
    assert!(world.render_with(&renderer).await.is_empty());
    world.clock.advance(MINUTE);
    assert_eq!(world.render_with(&renderer).await, [World::hour(now).0]);
    assert!(world.render_with(&renderer).await.is_empty());
}

#[tokio::test]
async fn late_windows_are_rendered_when_no_more_arrive() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    let renderer = world.renderer(world.options());
    let (hour, name) = World::hour(at);
    assert!(world.render_with(&renderer).await.is_empty());
    world.clock.advance(MINUTE * 2);
    assert_eq!(world.render_with(&renderer).await, [&*hour]);
    world
        .push("anonymous", "web", at.plus(MINUTE), SAMPLES)
        .await;
    assert!(world.render_with(&renderer).await.is_empty());
    world.clock.advance(MINUTE * 2);
    assert_eq!(world.render_with(&renderer).await, [hour]);
    let log = format!("davy/anonymous/logs/hourly/{name}.cpu.web.gc.audit.log.gz");
    assert_eq!(world.text(&log).await, "main;sweep;parse 100000000\n");
    // Compaction changes which objects hold the windows, and not what is shown.
    world.archive.compactor().once().await.expect("compacted");
    assert!(world.render_with(&renderer).await.is_empty());
    assert!(world.render().await.is_empty());
}

async fn again(world: &World, options: RenderOptions) -> Objects {
    let now = world.clock.now();
    let range = RenderRange {
        range: now.minus(HOUR * 72)..now,
        again: true,
        ..RenderRange::default()
    };
    let renderer = world.renderer(options);
    let all = renderer.render(&range, &|_, _| {}).await.expect("rendered");
    assert!(
        !all.is_empty() && all.iter().all(|of| of.error.is_none()),
        "{all:?}"
    );
    world.written().await
}

#[tokio::test]
async fn renderers_write_the_same_bytes_from_segments_and_blocks() {
    let bucket = Arc::new(InMemory::new());
    let world = World::on(bucket.clone(), &crate::support::clock());
    let yesterday = world.clock.now().floor(HOUR * 24).minus(HOUR * 20);
    for minute in 0..6 {
        let at = yesterday.plus(MINUTE * 25 * minute);
        world.push("anonymous", "web", at, SAMPLES).await;
        // Frames are numbered in order of arrival.
        let reversed: Vec<Sample<'_>> = SAMPLES.iter().rev().copied().collect();
        world
            .push("anonymous", "web", at.plus(MINUTE), &reversed)
            .await;
        world.push("anonymous", "db", at, SAMPLES).await;
    }
    let options = || RenderOptions {
        has_operations: true,
        focus: vec![Focus::new("parser", "^parse$").expect("valid")],
        page_url: Some("https://davy.example.com/".to_owned()),
        ..world.options()
    };
    let first = again(&world, options()).await;
    assert!(
        first.keys().any(|key| key.contains("/daily/")),
        "{:?}",
        first.keys()
    );
    let other = World::on(bucket, &world.clock);
    assert!(
        first == again(&other, options()).await,
        "another renderer wrote other bytes"
    );
    let compactor = world.archive.compactor();
    while compactor.once().await.expect("compacted").merged > 0 {}
    assert!(
        first == again(&world, options()).await,
        "blocks gave other bytes"
    );
}

#[tokio::test]
async fn two_renderers_at_once_leave_what_one_leaves() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    for service in ["web", "db"] {
        world.push("anonymous", service, at, SAMPLES).await;
    }
    let expected = again(&world, world.options()).await;
    for key in expected.keys() {
        let key = object_store::path::Path::parse(key).expect("a key");
        object_store::ObjectStoreExt::delete(&world.bucket, &key)
            .await
            .expect("deleted");
    }
    world.clock.advance(MINUTE * 2);
    let (a, b) = (
        world.renderer(world.options()),
        world.renderer(world.options()),
    );
    let (a, b) = tokio::join!(a.once(), b.once());
    assert!(a.is_ok() && b.is_ok());
    assert!(expected == world.written().await);
}

#[tokio::test]
async fn operations_have_graphs_if_a_setting_asks_for_them() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    let objects = again(&world, world.options()).await;
    assert!(!objects.keys().any(|key| key.contains(".op-")));
    let options = RenderOptions {
        has_operations: true,
        ..world.options()
    };
    let objects = again(&world, options).await;
    let count = |part: &str| objects.keys().filter(|key| key.contains(part)).count();
    assert_eq!((count("all.op-List."), count("all.op-tick.")), (3, 3));
}

#[tokio::test]
async fn members_above_the_limit_are_only_in_the_graph_of_all() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    let options = RenderOptions {
        members: 1,
        ..world.options()
    };
    let objects = again(&world, options).await;
    let count = |part: &str| objects.keys().filter(|key| key.contains(part)).count();
    assert_eq!(
        (count(".web.api."), count(".web.gc."), count(".web.all.")),
        (3, 0, 3)
    );
    let (day, page) = World::hour(at)
        .0
        .split_once('/')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("an hour");
    let html = world
        .text(&format!("davy/anonymous/flamegraphs/{day}/{page}.html"))
        .await;
    assert!(
        html.contains("the 1 smallest values of the label member"),
        "{html}"
    );
}

#[tokio::test]
async fn focus_that_stops_matching_is_reported() {
    let world = World::new();
    let start = world.clock.now().floor(HOUR).minus(HOUR * 3);
    let renamed: &[Sample<'_>] = &[(&["main", "serve", "decode"], 7, API)];
    world.push("anonymous", "web", start, SAMPLES).await;
    world
        .push("anonymous", "web", start.plus(HOUR), renamed)
        .await;
    let options = RenderOptions {
        focus: vec![Focus::new("parser", "^parse$").expect("valid")],
        ..world.options()
    };
    let metrics = prometheus::Registry::new();
    let renderer =
        davy_render::Renderer::new(&world.archive, options, &metrics).expect("fresh registry");
    let now = world.clock.now();
    let range = RenderRange {
        range: start..now,
        ..RenderRange::default()
    };
    renderer.render(&range, &|_, _| {}).await.expect("rendered");
    let (_, name) = World::hour(start);
    let graph = format!("davy/anonymous/flamegraphs/hourly/{name}.cpu.web.all.fn-parser.svgz");
    let graph = world.text(&graph).await;
    assert!(graph.contains("all (350,000 us, 100%)"), "{graph}");
    let lost = metrics
        .gather()
        .into_iter()
        .find(|of| of.name().ends_with("focus_lost_total"));
    let lost = lost.expect("the metric").get_metric()[0]
        .get_counter()
        .get_value();
    assert_eq!(lost as u64, 1);
}

#[tokio::test]
async fn odd_names_stay_in_their_folder_and_are_shown_escaped() {
    let world = World::new();
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    let names = [
        "a;b",
        "c\u{1}d",
        " blank ",
        "<script>alert(1)</script>",
        "]]>",
        "\u{202e}evil",
    ];
    let member: &[(&str, &str)] = &[("member", "../../../etc/passwd")];
    let deep: Vec<String> = (0..100_000)
        .map(|depth| format!("f{}", depth % 7))
        .collect();
    let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
    let samples: &[Sample<'_>] = &[(&names, 1_000_000_000, member), (&deep, 1_000_000_000, &[])];
    world.push("../..", "a b/c;<d>", at, samples).await;
    assert_eq!(world.render().await.len(), 1);
    let objects = world.written().await;
    let svg: Vec<&String> = objects
        .keys()
        .filter(|key| has_extension(key, "svgz"))
        .collect();
    assert_eq!(svg.len(), 4, "{svg:?}");
    for (key, bytes) in &objects {
        assert!(key.starts_with("davy/=2e.=2f../"), "{key}");
        let text = String::from_utf8(unpacked(bytes)).expect("UTF-8");
        let is_safe = !text.contains("<script>alert") && !text.contains('\u{1}');
        assert!(is_safe || key.ends_with(".log.gz"), "{key}");
        if has_extension(key, "svgz") {
            assert!(text.ends_with("</svg>\n"), "{key}");
            assert_eq!(text.matches("<script>").count(), 1, "{key}");
        }
    }
    let log = objects
        .iter()
        .find(|(key, _)| key.ends_with("passwd.log.gz"));
    let log = String::from_utf8(unpacked(log.expect("a log").1)).expect("UTF-8");
    assert!(log.starts_with("a%3Bb;"), "{log}");
}

/// What is listed before it is deleted is what is missing afterwards, with its size.
async fn retain(world: &World, renderer: &Renderer, reason: &str) -> Objects {
    let before = world.written().await;
    let listed = renderer.retain(true).await.expect("a listing");
    assert_eq!(world.written().await, before, "a dry run");
    assert_eq!(renderer.retain(false).await.expect("deleted"), listed);
    let after = world.written().await;
    let missing = before.iter().filter(|(key, _)| !after.contains_key(*key));
    let name = |key: &String| key.rsplit('/').next().unwrap_or_default().to_owned();
    let mut missing: Vec<(String, u64)> = missing
        .map(|(key, bytes)| (name(key), bytes.len() as u64))
        .collect();
    missing.sort();
    let mut named: Vec<(String, u64)> = listed
        .iter()
        .map(|of| (of.name.clone(), of.bytes))
        .collect();
    named.sort();
    assert_eq!(named, missing);
    let reasons = listed.iter().map(|of| of.reason);
    assert!(reasons.clone().all(|of| of == reason), "{listed:?}");
    after
}

#[tokio::test]
async fn artefacts_are_deleted_with_the_level_that_they_show() {
    let world = World::new();
    let yesterday = world.clock.now().floor(HOUR * 24).minus(HOUR * 10);
    world.push("anonymous", "web", yesterday, SAMPLES).await;
    let renderer = world.renderer(world.options());
    world.clock.advance(MINUTE * 2);
    assert_eq!(world.render_with(&renderer).await.len(), 2);
    let count =
        |objects: &Objects, part: &str| objects.keys().filter(|key| key.contains(part)).count();
    let before = world.written().await;
    assert_eq!(
        (count(&before, "/hourly/"), count(&before, "/daily/")),
        (9, 9)
    );
    assert_eq!(renderer.retain(true).await.expect("a listing"), []);
    world.clock.advance(Duration::from_hours(24 * 91));
    let hours_gone = retain(&world, &renderer, "older than archive.hours_retention").await;
    assert_eq!(
        (
            count(&hours_gone, "/hourly/"),
            count(&hours_gone, "/daily/")
        ),
        (0, 9)
    );
    crate::pages::check_links(&hours_gone);
    world.clock.advance(Duration::from_hours(24 * 650));
    let gone = retain(&world, &renderer, "older than archive.days_retention").await;
    let keys: Vec<&String> = gone.keys().collect();
    assert_eq!(keys, ["davy/anonymous/flamegraphs/index.html"]);
}
