//! The baseline of the comparison: a central collector, which connects to every worker and destroys one container
//! after the other while it holds the lock of the collector.

use crate::failure::Failure;
use davy_base::Clock;
use davy_store::{SimulatedWorkers, Store};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the central collector has done.
#[derive(Debug, Default)]
pub(super) struct CentralRun {
    /// Connections that it has opened to workers.
    pub(super) connections: u64,
    /// Database statements.
    pub(super) statements: u64,
    pub(super) destroyed: u64,
    /// From the start of the run to the end of each destroy.
    pub(super) swept: Vec<Duration>,
    /// Whether it has seen every worker within its time.
    pub(super) is_complete: bool,
    pub(super) took: Duration,
}

/// The workers as a central collector needs them: a listener that destroys one container for each byte.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Listener {
    fn start(destroy: Duration, clock: Clock) -> Result<Self, Failure> {
        let failed = || Failure::because("cannot listen for the central collector");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (connections, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, stopped) = (connections.clone(), stop.clone());
        std::thread::spawn(move || {
            // The collector has one connection at a time, so one thread serves them in turn.
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                serve(stream, destroy, &clock);
            }
        });
        Ok(Self {
            address,
            connections,
            stop,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, destroy: Duration, clock: &Clock) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        let until = clock.monotonic() + destroy;
        loop {
            let now = clock.monotonic();
            if now >= until {
                break;
            }
            std::thread::park_timeout(until.saturating_sub(now));
        }
        if stream.write_all(&byte).is_err() {
            return;
        }
    }
}

/// Runs the central collector once over all workers, for `limit` at most.
pub(super) async fn run(
    store: &Store,
    of: SimulatedWorkers<'_>,
    destroy: Duration,
    limit: Duration,
    clock: &Clock,
) -> Result<CentralRun, Failure> {
    let listener = Listener::start(destroy, clock.clone())?;
    let statements = || -> u64 { store.stats().queries.iter().map(|row| row.queries).sum() };
    let (start, before) = (clock.monotonic(), statements());
    let failed = || Failure::because("the central collector cannot use the database");
    let unreachable = || Failure::because("the central collector cannot use its connection");
    let mut run = CentralRun::default();
    let mut is_over = false;
    for number in 0..of.workers {
        let garbage = store
            .central_garbage(&of.worker(number))
            .await
            .map_err(failed())?;
        let mut stream = TcpStream::connect(listener.address).map_err(unreachable())?;
        for handle in garbage {
            if clock.monotonic().saturating_sub(start) >= limit {
                is_over = true;
                break;
            }
            store.central_mark(&handle).await.map_err(failed())?;
            let mut byte = [1];
            stream.write_all(&byte).map_err(unreachable())?;
            stream.read_exact(&mut byte).map_err(unreachable())?;
            store.central_remove(&handle).await.map_err(failed())?;
            run.destroyed += 1;
            run.swept.push(clock.monotonic().saturating_sub(start));
        }
        if is_over {
            break;
        }
    }
    run.is_complete = !is_over;
    run.took = clock.monotonic().saturating_sub(start);
    run.statements = statements() - before;
    run.connections = listener.connections.load(Ordering::Relaxed);
    Ok(run)
}
