//! The cost of tagging a poll and of measuring its CPU time.
//!
//! `cargo bench -p davy-profiler --bench tags`

mod table;

use davy_tag::Tag;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use table::{head, least, row};

davy_profiler::use_jemalloc!();

const ROUNDS: u32 = 400;
const POLLS: u32 = 10_000;

fn nothing() -> impl Future<Output = ()> {
    std::future::poll_fn(|_| black_box(Poll::<()>::Pending))
}

/// Nanoseconds per poll.
fn poll(mut future: Pin<Box<impl Future<Output = ()>>>) -> f64 {
    least(ROUNDS, POLLS, || {
        let mut context = Context::from_waker(Waker::noop());
        let _ = black_box(future.as_mut().poll(&mut context));
    })
}

/// Nanoseconds of two readings of the cycle counter, which a change of tag and back takes.
#[cfg(target_arch = "x86_64")]
fn two_readings() -> f64 {
    least(ROUNDS, POLLS, || {
        // SAFETY: every x86_64 has the counter.
        unsafe { black_box(std::arch::x86_64::_rdtsc()) };
        // SAFETY: as above.
        unsafe { black_box(std::arch::x86_64::_rdtsc()) };
    }) - least(ROUNDS, POLLS, || {
        black_box(0u64);
        black_box(0u64);
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn two_readings() -> f64 {
    f64::NAN
}

fn main() {
    head("Tags");
    let tag = Tag::new("bench", "tag");
    let plain = poll(Box::pin(nothing()));
    let tagged = poll(Box::pin(tag.wrap(nothing())));
    row(
        "tagging a poll",
        format!("{:.2} ns", tagged - plain),
        "1 ns",
        format!("the poll itself: {plain:.2} ns"),
    );
    let task = poll(Box::pin(tag.task(nothing())));
    // With accounting as in a running profiler, including allocated bytes.
    let profiler = davy_profiler::Builder::new("bench").hz(1).start();
    let profiler = profiler.expect("profiler started");
    let readings = two_readings();
    let plain_again = poll(Box::pin(nothing()));
    let counted = poll(Box::pin(tag.wrap(nothing()))) - plain_again;
    row(
        "tagging a poll, with accounting",
        format!("{counted:.1} ns"),
        "20 ns",
        format!(
            "two readings of the counter: {readings:.1} ns, {:.2} of it; the rest: {:.1} ns",
            readings / counted,
            counted - readings
        ),
    );
    let counted_task = poll(Box::pin(tag.task(nothing()))) - plain_again;
    row(
        "the same for a listed task",
        format!("{counted_task:.1} ns"),
        "",
        format!("without accounting: {:.2} ns", task - plain),
    );
    let within = {
        let _guard = tag.enter();
        poll(Box::pin(tag.wrap(nothing()))) - plain_again
    };
    row(
        "the same within a poll of the same tag",
        format!("{within:.1} ns"),
        "",
        "",
    );
    let guard = least(ROUNDS, POLLS, || drop(black_box(tag.enter())));
    row(
        "entering and leaving a guard",
        format!("{guard:.1} ns"),
        "",
        "",
    );
    drop(profiler);
}
