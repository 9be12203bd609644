//! Open segments: one for each tenant and hour, filled by pushes until a flush takes them.
//!
//! Each segment has its own lock, so pushes of different tenants do not wait for each other. The
//! lock of the map is held only to look a segment up.

use super::batches::{Batches, Sizes};
use super::memory::MemoryBudget;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::Batch;
use crate::key::{Hour, Tenant};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How the write of a segment ended; `None` until it ends.
pub(super) type Outcome = Option<Result<()>>;

/// A segment that collects windows.
pub(super) struct OpenSegment {
    content: Mutex<Content>,
    outcome: watch::Sender<Outcome>,
}

struct Content {
    batches: Batches,
    /// Memory of the batches.
    bytes: usize,
    /// A flush has taken the batches; windows go to a new segment.
    closed: bool,
}

impl OpenSegment {
    fn new(expected: Sizes) -> Self {
        Self {
            content: Mutex::new(Content {
                batches: Batches::new(expected),
                bytes: 0,
                closed: false,
            }),
            outcome: watch::Sender::new(None),
        }
    }

    /// Ends the collection and returns the windows. Waits for a push that is adding to them.
    pub(super) fn close(&self) -> Result<Batches> {
        match self.content.lock() {
            Ok(mut content) => {
                content.closed = true;
                Ok(std::mem::take(&mut content.batches))
            }
            // A push panicked while it added: its window may lack rows, and a retry would be taken
            // for a duplicate.
            Err(_) => Err(incomplete()),
        }
    }

    /// Memory that is accounted for.
    pub(super) fn bytes(&self) -> usize {
        let content = self.content.lock();
        content.unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Answers the pushes that wait for this segment.
    pub(super) fn finish(&self, result: Result<()>) {
        self.outcome.send_replace(Some(result));
    }
}

fn incomplete() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "a push into the same segment failed halfway, so the segment was discarded; retry",
    )
}

#[derive(Default)]
struct Map {
    segments: BTreeMap<(Tenant, Hour), Arc<OpenSegment>>,
    /// Sizes of the segments of the last flush. The next ones will be about as large.
    sizes: BTreeMap<(Tenant, Hour), Sizes>,
    /// Whether a flush loop is running that will write what is added.
    accepting: bool,
}

/// All open segments.
pub(super) struct OpenSegments {
    map: Mutex<Map>,
    memory: MemoryBudget,
    /// The first segment was opened.
    begun: Notify,
    /// Memory of the open segments; an estimate that every flush resets.
    bytes: AtomicUsize,
}

impl OpenSegments {
    /// No segments; windows are not accepted yet.
    pub(super) fn new(memory: MemoryBudget) -> Self {
        Self {
            map: Mutex::default(),
            memory,
            begun: Notify::new(),
            bytes: AtomicUsize::new(0),
        }
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fill` add windows of a service to the open segment of a tenant's hour. Returns where the outcome of the
    /// segment's write will appear.
    pub(super) fn add(
        &self,
        tenant: &Tenant,
        hour: Hour,
        service: &str,
        fill: impl FnOnce(&mut Batch),
    ) -> Result<watch::Receiver<Outcome>> {
        loop {
            let segment = {
                let mut map = self.map();
                if !map.accepting {
                    return Err(stopped());
                }
                if map.segments.is_empty() {
                    self.begun.notify_one();
                }
                let Map {
                    segments, sizes, ..
                } = &mut *map;
                let key = (tenant.clone(), hour);
                let expected = || sizes.get(&key).cloned().unwrap_or_default();
                let entry = segments.entry(key.clone());
                let segment = entry.or_insert_with(|| Arc::new(OpenSegment::new(expected())));
                Arc::clone(segment)
            };
            let mut content = segment.content.lock().map_err(|_| incomplete())?;
            if content.closed {
                // A flush took it in between; the map has another one by now.
                continue;
            }
            let grown = content.batches.add(service, fill);
            content.bytes += grown;
            self.bytes.fetch_add(grown, Ordering::AcqRel);
            self.memory.add(grown);
            return Ok(segment.outcome.subscribe());
        }
    }

    /// Returns when the first segment was opened after [`OpenSegments::take`].
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Takes all segments; later windows go to new ones.
    pub(super) fn take(&self) -> BTreeMap<(Tenant, Hour), Arc<OpenSegment>> {
        let mut map = self.map();
        self.bytes.store(0, Ordering::Release);
        std::mem::take(&mut map.segments)
    }

    /// Sets the sizes of the segments of the last flush.
    pub(super) fn expect_sizes(&self, sizes: BTreeMap<(Tenant, Hour), Sizes>) {
        self.map().sizes = sizes;
    }

    /// Starts or stops accepting windows.
    pub(super) fn accept(&self, accepting: bool) {
        self.map().accepting = accepting;
    }

    /// Whether windows are accepted.
    pub(super) fn is_accepting(&self) -> bool {
        self.map().accepting
    }

    /// Whether no segment is open.
    pub(super) fn is_empty(&self) -> bool {
        self.map().segments.is_empty()
    }

    /// Memory of the open segments.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// Windows in the open segments.
    pub(super) fn windows(&self) -> usize {
        let segments: Vec<_> = self.map().segments.values().map(Arc::clone).collect();
        let windows = |segment: &Arc<OpenSegment>| {
            let content = segment.content.lock();
            content
                .unwrap_or_else(PoisonError::into_inner)
                .batches
                .windows()
        };
        segments.iter().map(windows).sum()
    }
}

/// Ingestion is not running.
pub(super) fn stopped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "ingestion is stopped on this archiver; push to another one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const HOUR: Hour = Hour(7);

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).expect("a name")
    }

    fn open() -> Arc<OpenSegments> {
        let gauge = prometheus::IntGauge::new("bytes", "Bytes.").expect("valid");
        let open = Arc::new(OpenSegments::new(MemoryBudget::new(1 << 20, gauge)));
        open.accept(true);
        open
    }

    /// How long a test waits before it reports a deadlock.
    const DEADLOCK: Duration = Duration::from_secs(20);

    #[test]
    fn tenants_do_not_wait_for_each_other() {
        let open = open();
        let (entered, inside) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let slow = Arc::clone(&open);
        let slow = std::thread::spawn(move || {
            let fill = |_: &mut Batch| {
                entered.send(()).expect("the test listens");
                left.recv().expect("the test answers");
            };
            slow.add(&tenant("slow"), HOUR, "a", fill).map(|_| ())
        });
        inside.recv_timeout(DEADLOCK).expect("the slow push adds");
        // The slow push is inside its segment until the other tenant's push has returned.
        let (done, finished) = mpsc::channel();
        let quick = Arc::clone(&open);
        let quick = std::thread::spawn(move || {
            let added = quick.add(&tenant("quick"), HOUR, "a", |_| ()).map(|_| ());
            done.send(()).expect("the test listens");
            added
        });
        let overtook = finished.recv_timeout(DEADLOCK);
        leave.send(()).expect("the slow push waits");
        overtook.expect("the quick push waited for the slow one");
        slow.join().expect("no panic").expect("added");
        quick.join().expect("no panic").expect("added");
        assert_eq!(open.take().len(), 2);
    }

    #[test]
    fn push_goes_to_a_new_segment_when_a_flush_closes_the_one_it_found() {
        let open = open();
        open.add(&tenant("a"), HOUR, "a", |_| ()).expect("added");
        // Closed but still in the map, as for a push that looked it up just before the flush.
        let found = Arc::clone(&open.map().segments[&(tenant("a"), HOUR)]);
        found.close().expect("closed");
        let late = Arc::clone(&open);
        let late =
            std::thread::spawn(move || late.add(&tenant("a"), HOUR, "a", |_| ()).map(|_| ()));
        open.take();
        late.join().expect("no panic").expect("added");
        let segments = open.take();
        assert_eq!(segments.len(), 1);
        assert!(!Arc::ptr_eq(&segments[&(tenant("a"), HOUR)], &found));
    }

    #[test]
    fn segment_is_discarded_when_a_push_panics_halfway() {
        let open = open();
        let outcome = open.add(&tenant("a"), HOUR, "a", |_| ()).expect("added");
        let halfway = Arc::clone(&open);
        let halfway = std::thread::spawn(move || {
            let _ = halfway.add(&tenant("a"), HOUR, "a", |_| panic!("halfway"));
        });
        assert!(halfway.join().is_err());
        let refused = open.add(&tenant("a"), HOUR, "a", |_| ()).map(|_| ());
        assert_eq!(refused.map_err(|e| e.kind), Err(ErrorKind::Unavailable));
        let segments = open.take();
        let segment = &segments[&(tenant("a"), HOUR)];
        segment.finish(segment.close().map(|_| ()));
        assert!(matches!(&*outcome.borrow(), Some(Err(_))));
        open.add(&tenant("a"), HOUR, "a", |_| ())
            .expect("a new segment");
    }

    #[test]
    fn nothing_is_added_while_ingestion_is_stopped() {
        let open = open();
        open.accept(false);
        let refused = open.add(&tenant("a"), HOUR, "a", |_| ()).map(|_| ());
        assert_eq!(refused.map_err(|e| e.kind), Err(ErrorKind::Unavailable));
        assert!(open.is_empty());
    }
}
