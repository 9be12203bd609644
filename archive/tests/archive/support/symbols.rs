//! Symbol indices, and profiles whose frames have an address only.

use super::World;
use super::requests::one_type;
use axum::body::Body;
use axum::http::Request;
use davy_profile::symbol_index::{Builder, SymbolFrame};
use davy_profile::{LabelSetId, Mapping, Profile};

/// Hexadecimal, as most linkers write it.
pub(crate) const BUILD: &str = "c0ffee";

/// An index in which `main` is at 0x1000 and `work` at 0x2000; `Vec::push` is inlined there from 0x2010 on.
pub(crate) fn index(build_id: &str) -> Vec<u8> {
    index_of(build_id, "work")
}

/// The same with another name of `work`.
pub(crate) fn index_of(build_id: &str, work: &str) -> Vec<u8> {
    let mut index = Builder::new(build_id, "server");
    let mut frame = |name: &str, file: &str, line| SymbolFrame {
        function: index.string(name),
        file: index.string(file),
        line,
    };
    let (main, work) = (frame("main", "main.rs", 3), frame(work, "work.rs", 7));
    let push = frame("Vec::push", "vec.rs", 90);
    index.add(0x1000, 0x100, &[main]);
    index.add(0x2000, 0x10, &[work]);
    index.add(0x2010, 0x10, &[work, push]);
    index.count_named(2);
    written(index)
}

pub(crate) fn written(index: Builder) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.write(&mut bytes).expect("a vector");
    bytes
}

/// A profile whose stacks are offsets of code in a file of this build.
pub(crate) fn addresses(build_id: &str, samples: &[(&[u64], i64)]) -> Profile {
    let mut p = one_type("cpu", "nanoseconds");
    add_addresses(&mut p, build_id, samples);
    p
}

pub(crate) fn add_addresses(p: &mut Profile, build_id: &str, samples: &[(&[u64], i64)]) {
    let mapping = Mapping {
        start: 0x7000_0000,
        limit: 0x7001_0000,
        file_offset: 0x1000,
        file: p.strings.intern("/bin/server"),
        build_id: p.strings.intern(build_id),
        ..Mapping::default()
    };
    p.mappings.push(mapping);
    let index = p.mappings.len() as u32 - 1;
    for (path, value) in samples {
        let path: Vec<u32> = path
            .iter()
            .map(|offset| p.location(Some(index), mapping.absolute(*offset), &[]))
            .collect();
        let stack = p.stack(path);
        p.add_sample(stack, LabelSetId(0), &[*value]);
    }
}

pub(crate) async fn put_as(
    world: &World,
    tenant: &str,
    path: &str,
    encoding: &str,
    body: impl Into<Body>,
) -> (u16, String) {
    let request = Request::put(format!("/api/v1/symbols/{path}"))
        .header("x-scope-orgid", tenant)
        .header("content-encoding", encoding)
        .body(body.into())
        .expect("a request");
    let (status, body) = world.call(request).await;
    (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

pub(crate) async fn put(world: &World, path: &str, body: impl Into<Body>) -> (u16, String) {
    put_as(world, "anonymous", path, "", body).await
}

/// Stores an index.
pub(crate) async fn store(world: &World, build_id: &str, index: Vec<u8>) {
    let (status, body) = put(world, build_id, index).await;
    assert_eq!(status, 200, "{body}");
}

/// The value of a metric with a label, or without one.
pub(crate) fn metric(world: &World, name: &str, label: &str) -> u64 {
    let families = world.metrics.gather();
    let name = format!("davy_archive_symbols_{name}");
    let metrics = families.iter().filter(|family| family.name() == name);
    let metrics = metrics.flat_map(prometheus::proto::MetricFamily::get_metric);
    let has = |of: &&prometheus::proto::Metric| {
        label.is_empty() || of.get_label().iter().any(|pair| pair.value() == label)
    };
    metrics
        .filter(has)
        .map(|of| (of.get_counter().get_value() + of.get_gauge().get_value()) as u64)
        .sum()
}
