//! The profiler's own memory over an hour of changing load, in simulated time.

mod archiver;
mod work;

use archiver::Archiver;
use davy_base::{Clock, Timestamp};
use davy_profiler::{Builder, Filter, Handle};
use davy_tag::Tag;
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;
use work::burn;

davy_profiler::use_jemalloc!();

const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 360;
/// By then, the tables are as large as they get.
const WARM: usize = 120;
/// Maximum growth of the profiler's live memory after [`WARM`] windows.
const GROWTH_BYTES_MAX: u64 = 2 << 20;
/// Maximum live memory of the profiler.
const LIVE_BYTES_MAX: u64 = 8 << 20;

/// Live memory of the member `profiler`, which is estimated from samples.
fn live_bytes(handle: &Handle) -> u64 {
    let tags = handle.live_heap().tags.into_iter();
    let own = tags.filter(|live| live.tag.member() == "profiler");
    own.map(|live| live.bytes).sum()
}

/// Uses CPU time and allocates at the end of a stack of this depth.
#[inline(never)]
fn descend(depth: usize, kept: &mut VecDeque<Vec<u8>>) {
    if depth > 0 {
        descend(black_box(depth - 1), kept);
        black_box(());
        return;
    }
    burn(Duration::from_millis(3));
    for size in 1..200 {
        kept.push_back(Vec::with_capacity(black_box(size * 64)));
    }
}

#[test]
fn memory_of_the_profiler_does_not_grow_during_an_hour_of_changing_load() {
    let archiver = Archiver::start();
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
    let profiler = Builder::new("plateau")
        .hz(1_000)
        .window(WINDOW)
        .archiver(archiver.url())
        .clock(clock.clone())
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let tags: Vec<Tag> = (0..20)
        .map(|op| Tag::new("load", &format!("op{op}")))
        .collect();
    let mut kept = VecDeque::new();
    let (mut warm, mut most) = (0, 0);
    for window in 0..WINDOWS {
        {
            // Sixty stacks, which recur every ten minutes.
            let _guard = tags[window % tags.len()].enter();
            descend(window % 60, &mut kept);
        }
        // The live memory rises and falls.
        let wanted = 200 * (window % 23);
        kept.drain(..kept.len().saturating_sub(wanted));
        clock.advance(WINDOW);
        // A request makes the profiler's thread look at the clock.
        handle
            .threads_profile(&Filter::default())
            .expect("the profiler is running");
        archiver.next_of("memory");
        if window == 0 {
            // From now on, nearly every allocation counts.
            handle.set_heap_rate(4 << 10).expect("jemalloc");
        }
        let live = live_bytes(&handle);
        if window == WARM {
            warm = live;
        } else if window > WARM {
            most = most.max(live);
        }
        if window % 60 == 0 {
            println!("{window} windows: {} KiB", live >> 10);
        }
    }
    println!("{WARM} windows: {warm} B, then at most {most} B");
    assert!(most <= LIVE_BYTES_MAX, "{most} B");
    assert!(
        most.saturating_sub(warm) <= GROWTH_BYTES_MAX,
        "{warm} B, then {most} B"
    );
    let stats = handle.stats();
    assert_eq!(stats.dropped.windows_overflow, 0, "{stats:?}");
    profiler
        .shutdown(Duration::from_secs(20))
        .expect("everything is delivered");
}
