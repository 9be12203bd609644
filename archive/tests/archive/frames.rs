//! Which frames are the same, how they are named, and which are left out.

use crate::support::World;
use crate::support::requests::{one_type, packed, selector, stacks, take, view};
use davy_profile::{Function, Label, LabelSetId, LabelValue, Line, Mapping, Profile, gzip, pprof};

#[tokio::test]
async fn deep_stack_and_long_name_are_truncated_and_all_samples_are_kept() {
    let world = World::new();
    let mut p = one_type("cpu", "nanoseconds");
    let (main, recurse) = (p.named_location("main"), p.named_location("recurse"));
    let long = p.named_location(&"x".repeat(70 << 10));
    let deep: Vec<u32> = std::iter::once(main)
        .chain(std::iter::repeat_n(recurse, 30_000))
        .collect();
    for (path, value) in [(deep, 1), (vec![main], 2), (vec![main, long], 4)] {
        let stack = p.stack(path);
        p.add_sample(stack, LabelSetId(0), &[value]);
    }
    take(&world, "name=s", packed(&p)).await;
    let json = view(&world, "top", "cpu", "s").await;
    assert_eq!(json["total"], 7);
    let got = stacks(&world, "cpu", "s").await;
    assert!(
        got.contains(";(truncated);recurse;") && got.contains("…"),
        "{}",
        got.len()
    );
    let families = world.metrics.gather();
    let repaired = families
        .iter()
        .find(|family| family.name() == "davy_archive_repaired_total");
    let counts = repaired
        .expect("the metric")
        .get_metric()
        .iter()
        .map(|metric| {
            let what = metric.get_label()[0].value().to_owned();
            (what, metric.get_counter().get_value() as u64)
        });
    let counts: std::collections::BTreeMap<String, u64> = counts.collect();
    assert_eq!((counts["stack"], counts["string"]), (1, 1));
}

#[tokio::test]
async fn frames_that_a_profile_drops_count_for_their_callers_and_stay_in_its_pprof() {
    let world = World::new();
    let mut p = one_type("inuse_space", "bytes");
    p.drop_frames = p.strings.intern("malloc|operator new.*");
    let path = ["main", "index", "malloc"].map(|name| p.named_location(name));
    let stack = p.stack(path);
    p.add_sample(stack, LabelSetId(0), &[7]);
    take(&world, "name=s", packed(&p)).await;
    assert_eq!(stacks(&world, "heap", "s").await, "main;index 7");
    let rest = format!("type=heap&{}", selector("s"));
    let path = format!("/api/v1/profiles/pprof?{}", world.range(&rest));
    let (_, body) = world.get_as("anonymous", &path).await;
    let limits = davy_profile::Limits::default();
    let raw = gzip::unpack(&body, &limits).expect("gzip");
    let back = pprof::decode(&raw, &limits).expect("pprof");
    assert_eq!(back.text(back.drop_frames), "malloc|operator new.*");
    assert_eq!(back.stacks.leaf_to_root(back.samples.stacks[0]).count(), 3);
}

/// A function `name` at `address` of a binary that is loaded at `start`.
fn at(
    p: &mut Profile,
    (file, build_id, start): (&str, &str, u64),
    address: u64,
    name: &str,
) -> u32 {
    let mapping = Mapping {
        start,
        limit: start + 0x1000,
        file: p.strings.intern(file),
        build_id: p.strings.intern(build_id),
        ..Mapping::default()
    };
    p.mappings.push(mapping);
    let index = p.mappings.len() as u32 - 1;
    let name = p.strings.intern(name);
    let function = p.function(Function {
        name,
        ..Function::default()
    });
    let lines = [Line {
        function,
        line: 0,
        column: 0,
    }];
    p.location(
        Some(index),
        start + address,
        if name.0 == 0 { &[] } else { &lines },
    )
}

#[tokio::test]
async fn builds_of_a_program_share_functions_and_are_groups_of_build_id() {
    let world = World::new();
    for (build_id, value) in [("one", 1), ("two", 2), ("", 4)] {
        let mut p = one_type("cpu", "nanoseconds");
        let location = at(&mut p, ("/bin/server", build_id, 0x1000), 0x10, "main");
        let stack = p.stack([location]);
        p.add_sample(stack, LabelSetId(0), &[value]);
        take(&world, "name=s", packed(&p)).await;
    }
    let of = async |rest: &str| {
        let path = format!("/api/v1/profiles/folded?{}", world.range(rest));
        let (status, body) = world.get_as("anonymous", &path).await;
        assert_eq!(status, 200);
        let text = String::from_utf8(body).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(of("type=cpu").await, "main 7");
    assert_eq!(
        of("type=cpu&by=build_id").await,
        "build_id=(untagged);main 4\nbuild_id=one;main 1\nbuild_id=two;main 2"
    );
    let two = of("type=cpu&selector=%7Bbuild_id=%22two%22%7D").await;
    assert_eq!(two, "main 2");
    let names = format!("/api/v1/profiles/labels?{}", world.range(""));
    assert!(
        world
            .json(&names)
            .await
            .as_array()
            .is_some_and(|names| names.contains(&"build_id".into()))
    );
    let series = world
        .json(&format!(
            "/api/v1/profiles/series?{}",
            world.range("type=cpu&by=build_id")
        ))
        .await;
    assert_eq!(
        series["series"].as_array().map(Vec::len),
        Some(3),
        "{series}"
    );
}

#[tokio::test]
async fn different_things_stay_apart_and_equal_things_come_together() {
    let check = async |frames: &[(&str, &str, u64, u64, &str)], expected: &str| {
        let world = World::new();
        for (file, build_id, start, address, name) in frames {
            let mut p = one_type("cpu", "nanoseconds");
            let location = at(&mut p, (file, build_id, *start), *address, name);
            let stack = p.stack([location]);
            p.add_sample(stack, LabelSetId(0), &[1]);
            take(&world, "name=s", packed(&p)).await;
        }
        assert_eq!(stacks(&world, "cpu", "s").await, expected, "{frames:?}");
    };
    // Equal addresses of two binaries, and of two builds.
    check(
        &[("/a", "1", 0x1000, 0x10, ""), ("/b", "2", 0x1000, 0x10, "")],
        "0x10 [a] 1\n0x10 [b] 1",
    )
    .await;
    check(
        &[("/a", "1", 0x1000, 0x10, ""), ("/a", "2", 0x1000, 0x10, "")],
        "0x10 [a] 1\n0x10 [a] 1",
    )
    .await;
    // One binary at two load addresses.
    check(
        &[("/a", "1", 0x1000, 0x10, ""), ("/a", "1", 0x7000, 0x10, "")],
        "0x10 [a] 2",
    )
    .await;
    // A function in two binaries, and in two builds in two folders.
    check(
        &[
            ("/a", "1", 0x1000, 0x10, "main"),
            ("/b", "2", 0x1000, 0x10, "main"),
        ],
        "main 1\nmain 1",
    )
    .await;
    check(
        &[
            ("/r1/a", "1", 0x1000, 0x10, "main"),
            ("/r2/a", "2", 0x1000, 0x30, "main"),
        ],
        "main 2",
    )
    .await;
    check(
        &[
            ("/a", "1", 0x1000, 0x10, "main"),
            ("/a", "1", 0x1000, 0x10, "main  "),
        ],
        "main 2",
    )
    .await;
}

#[tokio::test]
async fn function_without_a_name_is_shown_and_found_by_file_and_line() {
    let world = World::new();
    let mut p = one_type("cpu", "nanoseconds");
    let file = p.strings.intern("app.js");
    let function = p.function(Function {
        file,
        start_line: 12,
        ..Function::default()
    });
    let line = Line {
        function,
        line: 14,
        column: 0,
    };
    let nameless = p.location(None, 0, &[line]);
    let nothing = p.function(Function {
        name: davy_profile::StringId(0),
        ..Function::default()
    });
    let anonymous = p.location(
        None,
        0,
        &[Line {
            function: nothing,
            line: 0,
            column: 0,
        }],
    );
    let (key, value) = (
        p.strings.intern("n"),
        LabelValue::Number(5, p.strings.intern("requests")),
    );
    let set = p.label_sets.intern(&[Label { key, value }]);
    let stack = p.stack([anonymous, nameless]);
    p.add_sample(stack, set, &[3]);
    take(&world, "name=s", packed(&p)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, "(anonymous);app.js:12 3");
    for (rest, expected) in [("focus=app.js:12", 3), ("ignore=anonymous", 0), ("by=n", 3)] {
        let rest = format!("type=cpu&{}&{rest}", selector("s"));
        let top = world
            .json(&format!("/api/v1/profiles/top?{}", world.range(&rest)))
            .await;
        assert_eq!(top["total"], expected, "{rest}");
    }
    let by = world
        .folded(&format!("type=cpu&{}&by=n", selector("s")))
        .await;
    assert_eq!(by, "n=5 requests;(anonymous);app.js:12 3");
}
