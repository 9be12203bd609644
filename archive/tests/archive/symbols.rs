//! Names that follow later: the next query shows them.

use crate::support::requests::{packed, selector, stacks, take, view};
use crate::support::symbols::{
    BUILD, add_addresses, addresses, index, index_of, metric, put, put_as, store, written,
};
use crate::support::{World, clock, options};
use davy_profile::symbol_index::{Builder, SymbolFrame};
use davy_profile::{Function, LabelSetId, Limits, Line, Profile, gzip, pprof};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;

const UNNAMED: &str = "0x1010 [server];0x2001 [server] 2\n0x1010 [server];0x2018 [server] 5";
const NAMED: &str = "main;work 2\nmain;work;Vec::push 5";

fn profile() -> Profile {
    addresses(BUILD, &[(&[0x1010, 0x2018], 5), (&[0x1010, 0x2001], 2)])
}

#[tokio::test]
async fn names_that_arrive_after_the_window_are_in_the_next_query() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    assert_eq!(stacks(&world, "cpu", "s").await, UNNAMED);
    let (status, body) = put(&world, BUILD, index(BUILD)).await;
    assert_eq!(status, 200);
    let row: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(row["build_id"], BUILD);
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
    let json = view(&world, "flamegraph", "cpu", "s").await;
    assert_eq!(json["partial"], serde_json::json!([]));
    let top = view(&world, "top", "cpu", "s").await;
    assert_eq!(top["functions"][0]["name"], "Vec::push");
    assert_eq!(top["functions"][0]["file"], "vec.rs");
    // Filters see names.
    let rest = format!("type=cpu&focus=push&{}", selector("s"));
    assert_eq!(world.folded(&rest).await, "main;work;Vec::push 5");
    // A query of locations, which shares no merge with the others, looked nothing up again.
    let rest = format!("type=cpu&{}", selector("s"));
    let path = format!("/api/v1/profiles/pprof?{}", world.range(&rest));
    assert_eq!(world.get_as("anonymous", &path).await.0, 200);
    assert_eq!(metric(&world, "lookups_total", "found"), 3);
    assert!(metric(&world, "lookups_total", "cached") >= 3);
    assert!(metric(&world, "cache_bytes", "") > 0);
}

#[tokio::test]
async fn pprof_has_the_named_and_inlined_functions_of_each_location() {
    let world = World::new();
    take(&world, "name=s", packed(&profile())).await;
    store(&world, BUILD, index(BUILD)).await;
    let rest = format!("type=cpu&{}", selector("s"));
    let path = format!("/api/v1/profiles/pprof?{}", world.range(&rest));
    let (_, body) = world.get_as("anonymous", &path).await;
    let limits = Limits::default();
    let raw = gzip::unpack(&body, &limits).expect("gzip");
    let back = pprof::decode(&raw, &limits).expect("pprof");
    let mut locations: Vec<String> = Vec::new();
    let used = back.samples.stacks.iter();
    let used = used.flat_map(|stack| back.stacks.leaf_to_root(*stack));
    for location in used.collect::<std::collections::BTreeSet<u32>>() {
        let location = &back.locations[location as usize];
        let lines = back.lines_of(location).iter().map(|line| {
            let function = &back.functions[line.function as usize];
            let text = |id| back.text(id);
            format!(
                "{} {}:{}",
                text(function.name),
                text(function.file),
                line.line
            )
        });
        let lines: Vec<String> = lines.collect();
        locations.push(format!(
            "{:x} {}",
            back.relative_address(location),
            lines.join(", ")
        ));
    }
    locations.sort();
    let expected = [
        "1010 main main.rs:3",
        "2001 work work.rs:7",
        "2018 Vec::push vec.rs:90, work work.rs:7",
    ];
    assert_eq!(locations, expected);
    assert_eq!(back.mappings.len(), 1);
    let mapping = &back.mappings[0];
    assert!(mapping.has_functions && mapping.has_inline_frames);
    assert_eq!(back.text(mapping.build_id), BUILD);
}

#[tokio::test]
async fn named_address_and_the_same_function_with_a_name_are_one_frame() {
    let world = World::new();
    let mut p = profile();
    let name = p.strings.intern("main");
    let file = p.strings.intern("main.rs");
    let function = p.function(Function {
        name,
        file,
        ..Function::default()
    });
    let line = Line {
        function,
        line: 4,
        column: 0,
    };
    let location = p.location(Some(0), 0x7000_0050, &[line]);
    let stack = p.stack([location]);
    p.add_sample(stack, LabelSetId(0), &[1]);
    take(&world, "name=s", packed(&p)).await;
    store(&world, BUILD, index(BUILD)).await;
    let expected = "main 1\nmain;work 2\nmain;work;Vec::push 5";
    assert_eq!(stacks(&world, "cpu", "s").await, expected);
}

#[tokio::test]
async fn frames_that_a_profile_drops_are_dropped_when_their_names_arrive() {
    let world = World::new();
    let mut p = profile();
    p.drop_frames = p.strings.intern("Vec::push|work");
    take(&world, "name=s", packed(&p)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, UNNAMED);
    store(&world, BUILD, index(BUILD)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, "main 7");
}

#[tokio::test]
async fn frames_are_dropped_where_several_addresses_have_the_same_name() {
    let world = World::new();
    // Both addresses of each level are of the same function and line.
    let samples: &[(&[u64], i64)] = &[
        (&[0x1010, 0x2018, 0x2001], 1),
        (&[0x1011, 0x2019, 0x2002], 2),
        (&[0x1010, 0x2019, 0x2001], 4),
    ];
    let mut p = addresses(BUILD, samples);
    p.drop_frames = p.strings.intern("Vec::push");
    take(&world, "name=s", packed(&p)).await;
    store(&world, BUILD, index(BUILD)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, "main;work 7");
}

#[tokio::test]
async fn tenants_do_not_see_the_symbols_of_each_other() {
    let world = World::new();
    let (status, _) = put_as(&world, "a", BUILD, "", index_of(BUILD, "secret")).await;
    assert_eq!(status, 200);
    take(&world, "name=s", packed(&profile())).await;
    assert_eq!(stacks(&world, "cpu", "s").await, UNNAMED);
    for path in ["/api/v1/symbols/c0ffee", "/api/v1/symbols"] {
        let (_, body) = world.get_as("b", path).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            body.starts_with("{\"symbols\":[]") || body.contains("no symbols"),
            "{body}"
        );
    }
    store(&world, BUILD, index(BUILD)).await;
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
}

#[tokio::test]
async fn names_stored_by_another_archiver_are_seen_within_seconds() {
    let bucket = Arc::new(InMemory::new());
    let clock = clock();
    let (world, other) = (
        World::on(Arc::clone(&bucket) as _, &clock),
        World::on(bucket, &clock),
    );
    take(&world, "name=s", packed(&profile())).await;
    assert_eq!(stacks(&world, "cpu", "s").await, UNNAMED);
    store(&other, BUILD, index(BUILD)).await;
    clock.advance(Duration::from_secs(2));
    assert_eq!(stacks(&world, "cpu", "s").await, NAMED);
    // That a build has no symbols is found out once in that time.
    take(&world, "name=t", packed(&addresses("none", &[(&[1], 1)]))).await;
    stacks(&world, "cpu", "t").await;
    let before = world.bucket_requests();
    stacks(&world, "cpu", "t").await;
    let cached = world.bucket_requests() - before;
    clock.advance(Duration::from_secs(3));
    let before = world.bucket_requests();
    stacks(&world, "cpu", "t").await;
    let more = world.bucket_requests() - before - cached;
    assert!((0.5..1.5).contains(&more), "{more} requests");
}

#[tokio::test]
async fn broken_symbols_leave_addresses_and_the_response_says_so() {
    for (broken, why) in [
        ("functions.parquet", "checksum mismatch"),
        ("names.parquet", "checksum mismatch"),
        ("c0ffee/meta.json", "damaged object"),
    ] {
        let world = World::new();
        take(&world, "name=s", packed(&profile())).await;
        store(&world, BUILD, index(BUILD)).await;
        let keys = world.keys().await;
        let key = keys.iter().find(|key| key.ends_with(broken)).expect(broken);
        let mut garbage = vec![0x5a; 4_000];
        garbage[0] = b'{';
        world
            .bucket
            .put(&key.as_str().into(), garbage.into())
            .await
            .expect("written");
        // Another archiver has nothing cached.
        let other = World::on(Arc::clone(&world.bucket), &world.clock);
        assert_eq!(stacks(&other, "cpu", "s").await, UNNAMED, "{broken}");
        let top = view(&other, "top", "cpu", "s").await;
        assert_eq!(top["total"], 7);
        let partial = top["partial"].to_string();
        assert!(
            partial.contains("functions of build c0ffee are shown as addresses"),
            "{partial}"
        );
        assert!(partial.contains(why), "{broken}: {partial}");
        assert_eq!(metric(&other, "failures_total", "internal"), 1);
        world
            .bucket
            .delete(&key.as_str().into())
            .await
            .expect("deleted");
        other.clock.advance(Duration::from_secs(6));
        assert_eq!(stacks(&other, "cpu", "s").await, UNNAMED, "{broken}");
    }
}

#[tokio::test]
async fn only_the_row_groups_that_hold_the_addresses_are_read() {
    let mut options = options(Arc::new(InMemory::new()), &clock());
    options.cache_bytes = 0;
    let world = World::with(options);
    let mut index = Builder::new(BUILD, "server");
    for function in 0..40_000u64 {
        let frame = |index: &mut Builder, name: &str| SymbolFrame {
            function: index.string(&format!("{name}{function}")),
            file: index.string("main.rs"),
            line: function as u32,
        };
        let (outer, inner) = (frame(&mut index, "outer"), frame(&mut index, "inner"));
        index.add(64 * function, 16, &[outer]);
        index.add(64 * function + 16, 16, &[outer, inner]);
    }
    store(&world, BUILD, written(index)).await;
    let at = |function: u64, offset: u64| 64 * function + offset;
    let paths = [
        [at(1, 3)],
        [at(1, 20)],
        [at(1, 40)],
        [at(8_191, 0)],
        [at(8_192, 31)],
        [at(39_999, 16)],
        [at(40_000, 0)],
    ];
    let samples: Vec<(&[u64], i64)> = paths.iter().map(|path| (&path[..], 1)).collect();
    let mut p = addresses("other", &[(&[7], 1)]);
    add_addresses(&mut p, BUILD, &samples);
    take(&world, "name=s", packed(&p)).await;
    let expected = [
        "0x271000 [server] 1",
        "0x68 [server] 1",
        "0x7 [server] 1",
        "outer1 1",
        "outer1;inner1 1",
        "outer39999;inner39999 1",
        "outer8191 1",
        "outer8192;inner8192 1",
    ];
    assert_eq!(stacks(&world, "cpu", "s").await, expected.join("\n"));
    // Of 5 row groups of functions and 10 of names, 3 and at most 6.
    let before = world.bucket_requests();
    assert_eq!(stacks(&world, "cpu", "s").await, expected.join("\n"));
    let again = world.bucket_requests() - before;
    let other = World::with(davy_archive::ArchiveOptions {
        prefix: "davy".to_owned(),
        clock: world.clock.clone(),
        cache_bytes: 0,
        ..davy_archive::ArchiveOptions::new(Arc::clone(&world.bucket))
    });
    stacks(&other, "cpu", "s").await;
    // Each read of a row group reads the footer as well, because nothing is cached.
    let first = other.bucket_requests() - again;
    assert!(first <= 1.0 + 2.0 * 9.0, "{first} requests");
}
