//! Clients that list all jobs repeatedly, and one that measures the latency of other endpoints.

use davy_base::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The endpoints whose latency is measured.
pub(super) const OTHER_PATHS: [&str; 4] = ["/api/v1/members", "/api/v1/processes", "/livez", "/"];
/// Pause between two rounds of requests to the other endpoints.
const PAUSE: Duration = Duration::from_millis(50);
/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent()
}

/// Gets a URL, reads the whole response and returns its status.
pub(super) fn get(agent: &ureq::Agent, url: &str) -> Option<u16> {
    let mut response = agent.get(url).call().ok()?;
    let status = response.status().as_u16();
    let mut body = response.body_mut().as_reader();
    std::io::copy(&mut body, &mut std::io::sink()).ok()?;
    Some(status)
}

/// The slowest request to another endpoint that was sent after `since`.
#[derive(Default)]
struct Slowest {
    since: Duration,
    took: Duration,
    path: String,
}

/// Threads that send requests until [`Load::stop`].
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Number of complete responses with status 200.
    pub(super) completed: Arc<AtomicU64>,
    clock: Clock,
    slowest: Arc<Mutex<Slowest>>,
}

impl Load {
    /// Starts `clients` that list all jobs, and one that requests the other endpoints.
    pub(super) fn start(frontends: &[String], clients: usize) -> Self {
        let load = Self {
            stop: Arc::default(),
            threads: Vec::new(),
            completed: Arc::default(),
            clock: Clock::system(),
            slowest: Arc::default(),
        };
        let listing = (0..clients).map(|client| {
            let url = format!("{}/api/v1/jobs", frontends[client % frontends.len()]);
            let (stop, completed) = (load.stop.clone(), load.completed.clone());
            std::thread::spawn(move || {
                let agent = agent();
                while !stop.load(Ordering::Relaxed) {
                    match get(&agent, &url) {
                        Some(200) => {
                            completed.fetch_add(1, Ordering::Relaxed);
                        }
                        // A dashboard that is refused tries again at its next refresh.
                        _ => std::thread::park_timeout(PAUSE * 4),
                    }
                }
            })
        });
        let mut threads: Vec<_> = listing.collect();
        let (stop, slowest, clock) = (load.stop.clone(), load.slowest.clone(), load.clock.clone());
        let frontends = frontends.to_vec();
        threads.push(std::thread::spawn(move || {
            measure_others(&frontends, &stop, &slowest, &clock)
        }));
        Self { threads, ..load }
    }

    /// Duration and path of the slowest request to another endpoint since the last call.
    pub(super) fn take_slowest(&self) -> (Duration, String) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Slowest {
            since: self.clock.monotonic(),
            ..Slowest::default()
        };
        let Slowest { took, path, .. } = std::mem::replace(&mut *slowest, fresh);
        (took, path)
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // The panic of a client is on standard error already.
            let _ = thread.join();
        }
    }
}

fn measure_others(
    frontends: &[String],
    stop: &AtomicBool,
    slowest: &Mutex<Slowest>,
    clock: &Clock,
) {
    let agent = agent();
    while !stop.load(Ordering::Relaxed) {
        for path in OTHER_PATHS {
            for frontend in frontends {
                let start = clock.monotonic();
                let status = get(&agent, &format!("{frontend}{path}"));
                let took = clock.monotonic().saturating_sub(start);
                let took = if status == Some(200) { took } else { TIMEOUT };
                let mut slowest = slowest.lock().unwrap_or_else(PoisonError::into_inner);
                if start >= slowest.since && took > slowest.took {
                    slowest.took = took;
                    path.clone_into(&mut slowest.path);
                }
            }
        }
        std::thread::park_timeout(PAUSE);
    }
}
