//! The cost of a dump of 10,000 tasks, and the pauses that it causes.
//!
//! `cargo bench -p davy-profiler --bench tasks`

mod table;

use davy_profiler::{Builder, Filter};
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use table::{head, median, monotonic, process_cpu, quantile, row, wait};

davy_profiler::use_jemalloc!();

const TASKS: usize = 10_000;
const ROUNDS: usize = 600;
/// Slightly more than a dump takes. In a longer round, the worker would more often be preempted by other load.
const ROUND: Duration = Duration::from_millis(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let profiler = Builder::new("bench")
        .hz(100)
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let gate = Arc::new(tokio::sync::Notify::new());
    let tag = Tag::new("bench", "task");
    for _ in 0..TASKS {
        let gate = Arc::clone(&gate);
        runtime.spawn(tag.task(async move { gate.notified().await }));
    }
    wait(Duration::from_millis(500));
    let filter = Filter::default();
    let dump = || handle.tasks_profile(&filter).expect("tasks");
    // Names are cached from now on.
    dump();
    let mut seen = 0;
    let mut cpu: Vec<f64> = (0..30)
        .map(|_| {
            let before = process_cpu();
            let profile = dump();
            let samples = 0..profile.sample_count();
            seen = samples.map(|sample| profile.values(sample)[2]).sum();
            (process_cpu() - before) as f64 / 1e6
        })
        .collect();
    head("Tasks");
    row(
        "dump of 10,000 tasks",
        format!("{:.2} ms of CPU time", median(&mut cpu)),
        "2 ms",
        format!(
            "{seen} tasks; 90th percentile {:.2} ms",
            quantile(&mut cpu, 0.9)
        ),
    );

    // A task that yields all the time and notes its longest wait for the next poll.
    let longest = Arc::new(AtomicU64::new(0));
    let noted = Arc::clone(&longest);
    runtime.spawn(tag.task(async move {
        let mut before = monotonic();
        loop {
            tokio::task::yield_now().await;
            let now = monotonic();
            noted.fetch_max(now - before, Ordering::Relaxed);
            before = now;
        }
    }));
    let round = |work: &dyn Fn()| {
        longest.store(0, Ordering::Relaxed);
        let begin = monotonic();
        work();
        let rest = ROUND.as_nanos() as u64;
        wait(Duration::from_nanos(
            rest.saturating_sub(monotonic() - begin),
        ));
        longest.load(Ordering::Relaxed) as f64 / 1e6
    };
    let (mut with, mut without): (Vec<f64>, Vec<f64>) = (0..ROUNDS)
        .map(|_| {
            let with = round(&|| drop(dump()));
            (with, round(&|| ()))
        })
        .unzip();
    let above = |pauses: &[f64]| pauses.iter().filter(|pause| **pause > 1.0).count();
    let (above_with, above_without) = (above(&with), above(&without));
    row(
        "longest pause of a busy worker in 2 ms with a dump",
        format!("{:.3} ms", median(&mut with)),
        "1 ms",
        format!(
            "without a dump {:.3} ms; above 1 ms in {above_with} rounds with and {above_without} without a dump, of \
             {ROUNDS}",
            median(&mut without)
        ),
    );
}
