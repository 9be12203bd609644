//! A service on tokio: `cargo run --example tokio -- http://127.0.0.1:4040`

use davy_tag::{Tag, tagged};
use std::time::Duration;

davy_profiler::use_jemalloc!();

async fn sweep(mut wait: tokio::time::Interval) {
    loop {
        wait.tick().await;
        std::hint::black_box((0..2_000_000u64).sum::<u64>());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Started first, so that it counts from the beginning.
    let mut builder = davy_profiler::Builder::new("on-tokio");
    if let Some(archiver) = std::env::args().nth(1) {
        builder = builder.archiver(archiver);
    }
    let profiler = builder.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Not needed; a thread is sampled a little earlier and cheaper.
        .on_thread_start(davy_profiler::register_thread)
        .build()?;
    runtime.block_on(async {
        // A task of a member is counted, and tells where it waits.
        let every = tokio::time::interval(Duration::from_millis(100));
        tokio::spawn(Tag::new("gc.volumes", "sweep").task(sweep(every)));
        // What it spawns by `davy_tag::spawn` inherits its tag.
        tagged("api", "ListAllJobs", async {
            let child = davy_tag::spawn(async { davy_tag::current().op() });
            println!("a child works for {:?}", child.await);
        })
        .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    });
    for usage in davy_tag::usages() {
        println!(
            "{:?}: {:.3} s of CPU, {} polls",
            usage.tag,
            usage.cpu_nanos as f64 / 1e9,
            usage.polls
        );
    }
    profiler.shutdown(Duration::from_secs(5))?;
    Ok(())
}
