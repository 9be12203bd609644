//! Clients that ask again and again, and others that measure what that does to everybody else.

use davy_base::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is asked beside the endpoint that hurts.
pub(super) const OTHERS: [&str; 4] = ["/api/v1/members", "/api/v1/processes", "/livez", "/"];
/// From one question to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent()
}

/// Asks and reads the whole answer; gives its status.
pub(super) fn ask(agent: &ureq::Agent, url: &str) -> Option<u16> {
    let mut response = agent.get(url).call().ok()?;
    let status = response.status().as_u16();
    let mut body = response.body_mut().as_reader();
    std::io::copy(&mut body, &mut std::io::sink()).ok()?;
    Some(status)
}

/// The slowest answer of another endpoint to a question asked since the last look.
#[derive(Default)]
struct Slowest {
    since: Duration,
    took: Duration,
    path: String,
}

/// Threads that ask until they are stopped.
pub(super) struct Storm {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Answers that were whole.
    pub(super) answered: Arc<AtomicU64>,
    clock: Clock,
    slowest: Arc<Mutex<Slowest>>,
}

impl Storm {
    /// Begins: clients that list all jobs, and one that asks everything else.
    pub(super) fn begin(frontends: &[String], clients: usize) -> Self {
        let storm = Self {
            stop: Arc::default(),
            threads: Vec::new(),
            answered: Arc::default(),
            clock: Clock::system(),
            slowest: Arc::default(),
        };
        let listers = (0..clients).map(|client| {
            let url = format!("{}/api/v1/jobs", frontends[client % frontends.len()]);
            let (stop, answered) = (storm.stop.clone(), storm.answered.clone());
            std::thread::spawn(move || {
                let agent = agent();
                while !stop.load(Ordering::Relaxed) {
                    match ask(&agent, &url) {
                        Some(200) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        // A dashboard that is refused waits for its next turn.
                        _ => std::thread::park_timeout(PAUSE * 4),
                    }
                }
            })
        });
        let mut threads: Vec<_> = listers.collect();
        let (stop, slowest, clock) = (
            storm.stop.clone(),
            storm.slowest.clone(),
            storm.clock.clone(),
        );
        let frontends = frontends.to_vec();
        threads.push(std::thread::spawn(move || {
            others(&frontends, &stop, &slowest, &clock)
        }));
        Self { threads, ..storm }
    }

    /// The slowest answer of another endpoint, of those asked since the last call.
    pub(super) fn take_slowest(&self) -> (Duration, String) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Slowest {
            since: self.clock.monotonic(),
            ..Slowest::default()
        };
        let Slowest { took, path, .. } = std::mem::replace(&mut *slowest, fresh);
        (took, path)
    }

    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A client that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn others(frontends: &[String], stop: &AtomicBool, slowest: &Mutex<Slowest>, clock: &Clock) {
    let agent = agent();
    while !stop.load(Ordering::Relaxed) {
        for path in OTHERS {
            for frontend in frontends {
                let start = clock.monotonic();
                let status = ask(&agent, &format!("{frontend}{path}"));
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
