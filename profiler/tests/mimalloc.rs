//! A program whose allocator is mimalloc.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::{Builder, Error, Filter};
use davy_tag::Tag;
use std::time::Duration;
use work::{burn, sum, thread_cpu};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Allocates and frees, so that signals interrupt mimalloc.
fn allocate(span: Duration) -> Duration {
    let begin = thread_cpu();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    while thread_cpu().saturating_sub(begin) < span {
        for size in 1..2_000 {
            kept.push(Vec::with_capacity(std::hint::black_box(size)));
        }
        kept.clear();
    }
    thread_cpu().saturating_sub(begin)
}

#[test]
fn cpu_profiles_work_with_mimalloc_and_heap_profiles_name_what_to_change() {
    let archiver = Archiver::start();
    let profiler = Builder::new("mimalloc")
        .hz(1_000)
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let reason = handle.stats().heap.disabled_reason;
    assert!(
        reason.contains("davy_profiler::use_jemalloc!()"),
        "{reason}"
    );
    let error = handle.heap_profile(&Filter::default());
    assert!(
        matches!(&error, Err(Error::HeapOff(found)) if *found == reason),
        "{error:?}"
    );
    burn(Duration::from_millis(250));
    let used = {
        let _guard = Tag::new("mimalloc", "allocate").enter();
        allocate(Duration::from_secs(1))
    };
    profiler
        .shutdown(Duration::from_secs(20))
        .expect("everything is delivered");
    let pushes = archiver.all();
    assert!(pushes.iter().all(|push| push.label("__name__") != "memory"));
    let of_member = |member: &str| member == "mimalloc";
    let cpu = pushes
        .iter()
        .filter(|push| push.label("__name__") == "process_cpu");
    let sampled: i64 = cpu
        .map(|push| sum(&push.profile, "cpu", |member, _| of_member(member)))
        .sum();
    let ratio = sampled as f64 / used.as_nanos() as f64;
    assert!((0.97..=1.03).contains(&ratio), "{ratio}");
}
