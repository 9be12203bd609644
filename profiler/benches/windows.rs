//! How long after its end a window reaches the archiver, over loopback, while more threads are busy than there are
//! processors.
//!
//! `cargo bench -p davy-profiler --bench windows [-- SECONDS]`

#[path = "../tests/archiver/mod.rs"]
mod archiver;
mod table;

use archiver::Archiver;
use davy_profiler::Builder;
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use table::{burn, head, monotonic, nanos, quantile, row};

davy_profiler::use_jemalloc!();

const WINDOW: Duration = Duration::from_secs(1);
/// Busy threads for each processor.
const LOAD: usize = 4;

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok());
    let span = Duration::from_secs(seconds.unwrap_or(30));
    let archiver = Archiver::start();
    let profiler = Builder::new("windows")
        .archiver(archiver.url())
        .window(WINDOW)
        .start()
        .expect("the profiler starts");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..processors * LOAD)
        .map(|number| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let _guard = Tag::new("windows", &number.to_string()).enter();
                let mut kept = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(5));
                    kept.push(vec![0u8; 64 << 10]);
                    kept.truncate(100);
                }
            })
        })
        .collect();
    let (mut delays, until) = (Vec::new(), monotonic() + span.as_nanos() as u64);
    while monotonic() < until {
        if let Ok(push) = archiver.pushes.recv_timeout(WINDOW) {
            let arrived = nanos(libc::CLOCK_REALTIME) as i64;
            let ended = push.profile.time_nanos + push.profile.duration_nanos;
            delays.push((arrived - ended) as f64 / 1e6);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no panic");
    }
    drop(profiler);
    let mut at = |share| quantile(&mut delays, share);
    let (median, most, longest) = (at(0.5), at(0.99), at(1.0));
    head("Windows: from the end of a window to its arrival");
    row(
        &format!("p99 at a load of {LOAD} threads per processor"),
        format!("{most:.0} ms"),
        "1,000 ms",
        format!(
            "median {median:.0} ms, longest {longest:.0} ms, {} windows",
            delays.len()
        ),
    );
}
