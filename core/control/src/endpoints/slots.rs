//! Places under a limit, in this process and in all processes together.

use davy_base::{Clock, Random};
use davy_runtime::{Gate, Slot};
use davy_store::Store;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Sleep;
use ulid::Ulid;

/// What makes a limit hold over all processes.
#[derive(Clone)]
pub struct Fleet {
    /// Where places are taken.
    pub store: Store,
    /// This process.
    pub process: Ulid,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// For how long a process that found no place free in the fleet doesn't ask again: refused requests
/// must not become load on the database.
const FULL_FOR: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Slots {
    clock: Clock,
    random: Mutex<Random>,
    fleet: Option<Fleet>,
    gates: Vec<Gate>,
    /// Until when an endpoint counts as full, in monotonic milliseconds.
    full_until: Vec<AtomicU64>,
}

impl Slots {
    pub(super) fn new(clock: Clock, fleet: Option<Fleet>, endpoints: usize) -> Self {
        Self {
            clock,
            random: Mutex::new(Random::system()),
            fleet,
            gates: (0..endpoints).map(|_| Gate::new()).collect(),
            full_until: (0..endpoints).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Takes a place, if one is free here and in the fleet. While the database is down the limit
    /// holds in each process.
    pub(super) async fn take(
        &self,
        endpoint: usize,
        op: &str,
        limit: u32,
        span: Duration,
    ) -> Option<Held> {
        let local = self.gates[endpoint].enter(Some(limit))?;
        let mut held = Held {
            _local: local,
            shared: None,
            deadline: Box::pin(tokio::time::sleep(span)),
        };
        let Some(fleet) = &self.fleet else {
            return Some(held);
        };
        let now = self.clock.monotonic();
        if (now.as_millis() as u64) < self.full_until[endpoint].load(Ordering::Relaxed) {
            return None;
        }
        let id = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            Ulid::from_parts(self.clock.now().millis() as u64, random.next_u128()).to_string()
        };
        let process = fleet.process.to_string();
        let at = self.clock.now();
        let taken = fleet
            .store
            .take_slot(
                op,
                limit,
                &id,
                &process,
                at.millis(),
                at.plus(span).millis(),
            )
            .await;
        match taken {
            Ok(true) => {
                held.shared = Some(Shared {
                    store: fleet.store.clone(),
                    op: op.to_owned(),
                    id,
                });
                Some(held)
            }
            Ok(false) => {
                let until = (now + FULL_FOR).as_millis() as u64;
                self.full_until[endpoint].store(until, Ordering::Relaxed);
                None
            }
            Err(error) => {
                tracing::debug!(op, %error, "the limit holds in this process only");
                Some(held)
            }
        }
    }
}

/// A place that is held; dropping it frees it everywhere.
#[derive(Debug)]
pub(super) struct Held {
    _local: Slot,
    shared: Option<Shared>,
    deadline: Pin<Box<Sleep>>,
}

impl Held {
    /// Is over when the place has been held for as long as it may be.
    pub(super) fn deadline(&mut self) -> Pin<&mut Sleep> {
        self.deadline.as_mut()
    }

    /// When that is.
    pub(super) fn ends_at(&self) -> tokio::time::Instant {
        self.deadline.deadline()
    }
}

struct Shared {
    store: Store,
    op: String,
    id: String,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("op", &self.op)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(Shared { store, op, id }) = self.shared.take() else {
            return;
        };
        // Without a runtime the process is ending, and its slots end with it.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        davy_tag::spawn(async move {
            if let Err(error) = store.give_slot(&op, &id).await {
                tracing::debug!(op, %error, "a slot was not given back; it frees itself at its time limit");
            }
        });
    }
}
