//! A tokio service: `cargo run --example tokio -- http://127.0.0.1:4040`

use davy_tag::{Tag, tagged};
use std::time::Duration;

davy_profiler::use_jemalloc!();

async fn sweep(mut wait: tokio::time::Interval) {
    loop {
        wait.tick().await;
        std::hint::black_box((0..2_000_000u64).sum::<u64>());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a service outside of this workspace uses tokio's timers"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Started first, so that accounting is complete.
    let mut builder = davy_profiler::Builder::new("on-tokio");
    if let Some(archiver) = std::env::args().nth(1) {
        builder = builder.archiver(archiver);
    }
    let profiler = builder.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Optional: threads are sampled slightly earlier and at a lower cost.
        .on_thread_start(davy_profiler::register_thread)
        .build()?;
    runtime.block_on(async {
        // A task of a member is listed with the place where it waits.
        let every = tokio::time::interval(Duration::from_millis(100));
        tokio::spawn(Tag::new("gc.volumes", "sweep").task(sweep(every)));
        // A task spawned by `davy_tag::spawn` inherits the tag.
        tagged("api", "ListAllJobs", async {
            let child = davy_tag::spawn(async { davy_tag::current().op() });
            println!("the child has the operation {:?}", child.await);
        })
        .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    });
    for usage in davy_tag::usage() {
        println!(
            "{:?}: {:.3} s of CPU time, {} polls",
            usage.tag,
            usage.cpu_nanos as f64 / 1e9,
            usage.polls
        );
    }
    profiler.shutdown(Duration::from_secs(5))?;
    Ok(())
}
