//! Slots under a limit, in this process and in the fleet.

use davy_base::timer::Sleep;
use davy_base::{Clock, Random};
use davy_runtime::{Gate, Slot};
use davy_store::Store;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ulid::Ulid;

/// The database and process that make a limit hold over all processes.
#[derive(Clone)]
pub struct Fleet {
    /// The database that counts the slots.
    pub store: Store,
    /// The id of this process.
    pub process: Ulid,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// How long a process refuses requests without asking the database after the fleet had no free slot,
/// so that refused requests put no load on the database.
const FULL_FOR: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Slots {
    clock: Clock,
    random: Mutex<Random>,
    fleet: Option<Fleet>,
    /// By endpoint.
    gates: Vec<Gate>,
    /// By endpoint: until when it counts as full, in monotonic milliseconds.
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

    /// Takes a slot for `span`, if one is free in this process and in the fleet. While the database is
    /// unreachable, the limit holds in each process separately.
    pub(super) async fn take(
        &self,
        endpoint: usize,
        op: &str,
        limit: u32,
        span: Duration,
    ) -> Option<HeldSlot> {
        let local = self.gates[endpoint].enter(Some(limit))?;
        let mut held = HeldSlot {
            _local: local,
            shared: None,
            expiry: self.clock.sleep(span),
            clock: self.clock.clone(),
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
        let taken = fleet.store.take_slot(op, limit, &id, &process, span).await;
        match taken {
            Ok(true) => {
                held.shared = Some(SharedSlot {
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
                tracing::debug!(op, %error, "cannot take a slot in the database; limiting in this process only");
                Some(held)
            }
        }
    }
}

/// A slot of one request. Dropping it frees the slot in this process and in the fleet.
#[derive(Debug)]
pub(super) struct HeldSlot {
    _local: Slot,
    shared: Option<SharedSlot>,
    expiry: Sleep,
    clock: Clock,
}

impl HeldSlot {
    /// Completes when the slot has been held for as long as it may be.
    pub(super) fn expiry(&mut self) -> &mut Sleep {
        &mut self.expiry
    }

    /// A second timer for the same time, independent of the slot.
    pub(super) fn expiry_timer(&self) -> Sleep {
        self.clock.sleep_until(self.expiry.deadline())
    }
}

/// The row of a slot in the database.
struct SharedSlot {
    store: Store,
    op: String,
    id: String,
}

impl fmt::Debug for SharedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSlot")
            .field("op", &self.op)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        let Some(SharedSlot { store, op, id }) = self.shared.take() else {
            return;
        };
        // Without a runtime the process is ending, and its slots expire.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        davy_tag::spawn(async move {
            if let Err(error) = store.release_slot(&op, &id).await {
                tracing::debug!(op, %error, "slot not released; it expires by itself");
            }
        });
    }
}
