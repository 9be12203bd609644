//! A tokio service: `DAVY_ARCHIVER=http://127.0.0.1:4040 cargo run --features jemalloc,main --example tokio`

use davy_tag::{Tag, tagged};
use std::time::Duration;

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
#[davy_profiler::main(jemalloc)]
async fn main() {
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
    for usage in davy_tag::usage() {
        println!(
            "{:?}: {:.3} s of CPU time, {} polls",
            usage.tag,
            usage.cpu_nanos as f64 / 1e9,
            usage.polls
        );
    }
}
