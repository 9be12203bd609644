//! How archivers share compaction, and what queries request.

use super::days::*;
use crate::support::{CPU, World, options};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn archivers_share_the_work_and_a_leaving_one_is_forgotten() {
    let start = start();
    let first = world_at(start);
    push_day(&first).await;
    first.clock.advance(HOUR * 7);
    let second = World::with({
        let mut options = options(Arc::clone(&first.bucket), &first.clock);
        options.retention = DAY;
        options.levels = levels();
        options
    });
    let drains: [CancellationToken; 2] = std::array::from_fn(|_| CancellationToken::new());
    let runs: Vec<_> = [&first, &second]
        .into_iter()
        .zip(&drains)
        .map(|(world, drain)| tokio::spawn(world.archive.compactor().run(drain.clone())))
        .collect();
    // Each has written its presence object, and they have merged the day together.
    while keys(&first, "/.archivers/").await < 2 || keys(&first, "/blocks/day/").await < 10 {
        first.clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        first
            .archive
            .ls()
            .await
            .expect("listing")
            .iter()
            .filter(|of| of.kind == "day")
            .count(),
        1
    );
    for drain in &drains {
        drain.cancel();
    }
    for run in runs {
        run.await.expect("no panic");
    }
    assert_eq!(keys(&first, "/.archivers/").await, 0);
    let top = path("top", start, start.plus(DAY), &format!("type={CPU}"));
    assert_eq!(first.json(&top).await["windows"], 3 * 72);
}

#[tokio::test]
async fn requests_do_not_grow_with_the_number_of_days_that_are_listed() {
    let start = start();
    let world = world_at(start);
    push_day(&world).await;
    world.clock.advance(HOUR * 7);
    while compact(&world).await.0 > 0 {}
    let count = async |days: u32| {
        let before = world.bucket_requests();
        let until = start.plus(DAY);
        world
            .json(&path(
                "top",
                until.minus(DAY * days),
                until,
                &format!("type={CPU}"),
            ))
            .await;
        world.bucket_requests() - before
    };
    count(730).await;
    // One for each level, that of months only if the range has a whole one; the rest is cached.
    assert_eq!((count(4).await, count(730).await), (3.0, 4.0));
}
