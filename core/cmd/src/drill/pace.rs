//! Reports of many simulated workers, each at its interval. A report that is due while its thread waits for another
//! one counts from the time at which it was due.

use super::simulated::SimulatedWorker;
use davy_base::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Threads that send reports.
const THREADS: usize = 32;

/// What the reports of a phase have measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// From the due time of each report to its response.
    pub(super) latencies: Vec<Duration>,
    /// When the destruction of each container was reported, by the monotonic clock.
    pub(super) swept: Vec<Duration>,
    pub(super) errors: u64,
    pub(super) last_error: String,
}

/// Lets all workers report at `interval` until `stop` is set, spread evenly over the interval.
pub(super) fn run(
    workers: &mut [SimulatedWorker],
    interval: Duration,
    clock: &Clock,
    stop: &AtomicBool,
    reports: &AtomicU64,
    swept: &AtomicU64,
) -> Measured {
    let measured = Mutex::new(Measured::default());
    let start = clock.monotonic();
    let count = workers.len().max(1);
    let per_thread = count.div_ceil(THREADS);
    std::thread::scope(|scope| {
        for (thread, part) in workers.chunks_mut(per_thread).enumerate() {
            let measured = &measured;
            scope.spawn(move || {
                let mut own = Measured::default();
                let parts = part.len();
                let mut round = 0;
                'rounds: loop {
                    for (index, worker) in part.iter_mut().enumerate() {
                        let offset = interval
                            .mul_f64((index * THREADS + thread) as f64 / (parts * THREADS) as f64);
                        let due = start + interval * round + offset;
                        loop {
                            if stop.load(Ordering::Relaxed) {
                                break 'rounds;
                            }
                            let now = clock.monotonic();
                            if now >= due {
                                break;
                            }
                            std::thread::park_timeout(
                                due.saturating_sub(now).min(Duration::from_millis(200)),
                            );
                        }
                        match worker.sync(clock.monotonic()) {
                            Ok((gone, _)) => {
                                let now = clock.monotonic();
                                own.latencies.push(now.saturating_sub(due));
                                swept.fetch_add(gone.len() as u64, Ordering::Relaxed);
                                own.swept.extend(gone.iter().map(|_| now));
                            }
                            Err(error) => {
                                own.errors += 1;
                                own.last_error = error.to_string();
                            }
                        }
                        reports.fetch_add(1, Ordering::Relaxed);
                    }
                    round += 1;
                }
                let mut all = measured.lock().unwrap_or_else(PoisonError::into_inner);
                all.latencies.append(&mut own.latencies);
                all.swept.append(&mut own.swept);
                all.errors += own.errors;
                if !own.last_error.is_empty() {
                    all.last_error = own.last_error;
                }
            });
        }
    });
    measured
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}
