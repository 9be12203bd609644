//! The counters of one thread, by tag.
//!
//! Ledgers are never freed or cleared. A new thread reuses the ledger of an exited one and adds to it.
//! So the usage of exited threads is kept, and there are as many ledgers as there were concurrent
//! threads at most. There is no lock: a process forked at any time has a list that it can read and
//! modify.

pub(crate) mod claims;
pub(crate) mod totals;

use super::allocated::allocated_source;
use super::buckets::BUCKETS;
use super::rseq::Mark;
use super::ticks;
use crate::current::{self, as_profiler};
use crate::table::MAX_TAGS;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

const CHUNK: usize = 32;
const CHUNKS: usize = MAX_TAGS / CHUNK;

/// Number of long segments after which the thread's CPU clock is read again.
const READING_LASTS: u64 = 1_000;
/// An untagged thread that left its processor was mostly waiting. Its clock is read once this many long
/// segments have passed that way; shorter waits are assumed to have used no CPU time.
const LONG_UNTAGGED: u64 = 3;

/// The counters of a tag, written by the ledger's owner only.
#[derive(Debug, Default)]
struct Account {
    /// Ticks of segments during which the thread was running throughout.
    cpu_ticks: AtomicU64,
    /// CPU time of all other segments, in nanoseconds.
    cpu_nanos: AtomicU64,
    /// Length of all other segments, in ticks.
    other_ticks: AtomicU64,
    poll_ticks: AtomicU64,
    allocated_bytes: AtomicU64,
    poll_buckets: [AtomicU64; BUCKETS],
}

type Chunk = [Account; CHUNK];

struct Ledger {
    is_owned: AtomicBool,
    next: AtomicPtr<Ledger>,
    chunks: [AtomicPtr<Chunk>; CHUNKS],
    /// The thread's current tag, or its base ([`current::base`]).
    tag: AtomicU32,
    /// The account of that tag.
    current: AtomicPtr<Account>,
    /// Start of the segment, in ticks.
    since: AtomicU64,
    /// Length of a long segment in ticks; a copy, for locality.
    long: AtomicU64,
    /// The field of the thread's mark; see [`Mark`].
    mark_field: AtomicPtr<AtomicU64>,
    /// The value of the mark.
    mark: AtomicU64,
    /// Id of the thread's CPU clock.
    clock: AtomicI32,
    /// The last reading of that clock.
    reading_nanos: AtomicU64,
    /// Time of that reading, plus all waits since: the ticks from here to now are CPU time.
    reading_ticks: AtomicU64,
    /// Ticks of the waits since the reading that are assumed to have used no CPU time.
    waited_ticks: AtomicU64,
    /// The thread's count of allocated bytes.
    allocated: AtomicPtr<u64>,
    /// That count at the start of the segment.
    allocated_before: AtomicU64,
    /// Whether the owner has polled a tagged future.
    has_polled: AtomicBool,
    /// CPU time and memory that the owner used while it was parked, until the tag is known.
    parks: Account,
}

/// List of all ledgers; new ones are added at the front.
static FIRST: AtomicPtr<Ledger> = AtomicPtr::new(std::ptr::null_mut());

/// Adds without an atomic read-modify-write, since only the owner of a ledger writes to it.
#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(sum, Ordering::Relaxed);
}

thread_local! {
    /// `None` before the thread's first tag, and after it has released its ledger.
    static LEDGER: Cell<Option<&'static Ledger>> = const { Cell::new(None) };
    static IS_RELEASED: Cell<bool> = const { Cell::new(false) };
    static RELEASE: Release = const { Release };
}

/// Releases the ledger when the thread exits.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        IS_RELEASED.with(|released| released.set(true));
        if let Some(ledger) = LEDGER.with(Cell::take) {
            ledger.charge(0);
            ledger.set_mark(Mark::NONE);
            ledger.is_owned.store(false, Ordering::Release);
        }
    }
}

/// Charges the segment that ends now, and starts one of `next`. Returns the time of the change in
/// ticks.
#[inline]
pub(crate) fn switched(next: u32) -> u64 {
    match LEDGER.with(Cell::get) {
        Some(ledger) => ledger.charge(next),
        None => open(next),
    }
}

/// Like [`switched`], at the end of a poll that started at `begun`.
///
/// Not inlined, so that a poll is small enough to be inlined itself.
#[inline(never)]
pub(crate) fn polled(begun: u64, next: u32) {
    let Some(ledger) = LEDGER.with(Cell::get) else {
        return;
    };
    let account = ledger.current();
    let ended = ledger.charge(next);
    account.count_poll(ended.saturating_sub(begun));
    ledger.has_polled.store(true, Ordering::Relaxed);
}

/// Whether the calling thread has polled a tagged future, as the threads of an executor do.
#[inline]
pub(crate) fn has_polled() -> bool {
    let ledger = LEDGER.with(Cell::get);
    ledger.is_some_and(|ledger| ledger.has_polled.load(Ordering::Relaxed))
}

/// A tag for the segments of parks, whose clock is always read; [`Ledger::tag`] is 0.
const PARKS: u32 = MAX_TAGS as u32;

/// Starts the segment of a park of the calling thread.
pub(crate) fn parks() {
    if let Some(ledger) = LEDGER.with(Cell::get) {
        ledger.charge(current::base());
        ledger.set_current(PARKS, &ledger.parks);
    }
}

/// Makes the segment in progress of the calling thread a part of its parks and starts another one, if it is untagged and
/// takes less than half of a long segment, which is too little for the polls of most tasks.
pub(crate) fn include_in_parks() -> bool {
    let Some(ledger) = LEDGER.with(Cell::get) else {
        return false;
    };
    let long = ledger.long.load(Ordering::Relaxed);
    let is_short = ledger.passed(ticks::now()) < long / 2;
    if !is_short || ledger.tag.load(Ordering::Relaxed) != 0 {
        return false;
    }
    ledger.set_current(PARKS, &ledger.parks);
    ledger.charge(current::base());
    true
}

/// Ends the segment of a park, if there is one.
pub(crate) fn unparks() -> bool {
    let ledger = LEDGER.with(Cell::get);
    let Some(ledger) = ledger.filter(|ledger| ledger.tag.load(Ordering::Relaxed) == PARKS) else {
        return false;
    };
    ledger.charge(current::base());
    true
}

/// Moves what the calling thread used while it was parked to a tag.
pub(crate) fn assign_parks(tag: u32) {
    let Some(ledger) = LEDGER.with(Cell::get) else {
        return;
    };
    let amounts = ledger.parks.amounts().into_iter();
    for (from, to) in amounts.zip(ledger.account(tag).amounts()) {
        add(to, from.load(Ordering::Relaxed));
        from.store(0, Ordering::Relaxed);
    }
}

/// Whether the calling thread has counters.
pub(crate) fn is_open() -> bool {
    LEDGER.with(Cell::get).is_some()
}

/// Gives the segment in progress of the calling thread another tag.
#[cfg(feature = "http")]
pub(crate) fn relabel(tag: u32) {
    if let Some(ledger) = LEDGER.with(Cell::get) {
        ledger.relabel(tag);
    }
}

/// Handles a thread's first tag, and tags after it has released its ledger.
#[cold]
fn open(next: u32) -> u64 {
    if IS_RELEASED.with(Cell::get) || RELEASE.try_with(|_| ()).is_err() {
        return ticks::now();
    }
    let ledger = as_profiler(Ledger::acquire);
    LEDGER.with(|own| own.set(Some(ledger)));
    ledger.begin(next)
}

impl Ledger {
    /// Acquires a released ledger, or creates one.
    fn acquire() -> &'static Self {
        let free = ledgers().find(|ledger| {
            let was_free = !ledger.is_owned.load(Ordering::Relaxed);
            was_free && !ledger.is_owned.swap(true, Ordering::Acquire)
        });
        free.unwrap_or_else(Self::leak)
    }

    fn leak() -> &'static Self {
        let ledger: &'static Self = Box::leak(Box::new(Self {
            is_owned: AtomicBool::new(true),
            next: AtomicPtr::default(),
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            tag: AtomicU32::new(0),
            current: AtomicPtr::default(),
            since: AtomicU64::new(0),
            long: AtomicU64::new(u64::MAX),
            mark_field: AtomicPtr::default(),
            mark: AtomicU64::new(0),
            clock: AtomicI32::new(-1),
            reading_nanos: AtomicU64::new(0),
            reading_ticks: AtomicU64::new(0),
            waited_ticks: AtomicU64::new(0),
            allocated: AtomicPtr::default(),
            allocated_before: AtomicU64::new(0),
            has_polled: AtomicBool::new(false),
            parks: Account::default(),
        }));
        let mut first = FIRST.load(Ordering::Acquire);
        loop {
            ledger.next.store(first, Ordering::Relaxed);
            let ours = std::ptr::from_ref(ledger).cast_mut();
            match FIRST.compare_exchange_weak(first, ours, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return ledger,
                Err(other) => first = other,
            }
        }
    }

    fn begin(&self, next: u32) -> u64 {
        self.has_polled.store(false, Ordering::Relaxed);
        self.long.store(ticks::scale().long, Ordering::Relaxed);
        self.clock.store(ticks::own_cpu_clock(), Ordering::Relaxed);
        let allocated = allocated_source().map_or(std::ptr::null(), |source| source());
        self.allocated
            .store(allocated.cast_mut(), Ordering::Relaxed);
        self.allocated_before
            .store(self.allocated_now(), Ordering::Relaxed);
        let mark = Mark::of_this_thread();
        self.set_mark(mark);
        mark.field.store(mark.value, Ordering::Relaxed);
        let now = ticks::now();
        self.read_clock(now, ticks::thread_cpu_nanos());
        self.start_segment(next, now);
        now
    }

    fn set_mark(&self, mark: Mark) {
        let field = std::ptr::from_ref(mark.field).cast_mut();
        self.mark_field.store(field, Ordering::Relaxed);
        self.mark.store(mark.value, Ordering::Relaxed);
    }

    /// The mark of the owner, which must be the calling thread.
    #[inline]
    fn mark(&self) -> Mark {
        let field = self.mark_field.load(Ordering::Relaxed);
        Mark {
            // SAFETY: `begin` ran first, on this thread, so the field is the thread's own or a static.
            field: unsafe { &*field },
            value: self.mark.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn start_segment(&self, next: u32, now: u64) {
        self.tag.store(next, Ordering::Relaxed);
        let account = std::ptr::from_ref(self.account(next));
        self.current.store(account.cast_mut(), Ordering::Relaxed);
        self.since.store(now, Ordering::Release);
    }

    /// Gives the segment in progress another tag.
    fn relabel(&self, tag: u32) {
        self.set_current(tag, self.account(tag));
    }

    fn set_current(&self, tag: u32, account: &Account) {
        let account = std::ptr::from_ref(account).cast_mut();
        self.current.store(account, Ordering::Relaxed);
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// The account of the current tag.
    #[inline]
    fn current(&self) -> &'static Account {
        // SAFETY: `begin` ran first, so the pointer is that of an account, and accounts and ledgers are leaked.
        unsafe { &*self.current.load(Ordering::Relaxed) }
    }

    fn read_clock(&self, now: u64, nanos: u64) {
        self.waited_ticks.store(0, Ordering::Relaxed);
        self.reading_ticks.store(now, Ordering::Relaxed);
        self.reading_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Charges the segment that ends now to its tag, and starts one of `next`.
    ///
    /// Untagged segments are charged as well: that is cheaper than a branch, and never read.
    #[inline]
    fn charge(&self, next: u32) -> u64 {
        let mut now = ticks::now();
        let passed = self.passed(now);
        let long = self.long.load(Ordering::Relaxed);
        let since_reading = now.wrapping_sub(self.reading_ticks.load(Ordering::Relaxed));
        let mark = self.mark();
        let has_stayed = mark.field.load(Ordering::Relaxed) == mark.value;
        if has_stayed && passed <= long && since_reading <= long * READING_LASTS {
            add(&self.current().cpu_ticks, passed);
        } else {
            now = self.charge_by_clock(has_stayed, mark);
        }
        let allocated = self.allocated_now();
        let bytes = allocated.wrapping_sub(self.allocated_before.load(Ordering::Relaxed));
        if bytes != 0 {
            add(&self.current().allocated_bytes, bytes);
            self.allocated_before.store(allocated, Ordering::Relaxed);
        }
        self.start_segment(next, now);
        now
    }

    /// Length of the segment in ticks.
    #[inline]
    fn passed(&self, now: u64) -> u64 {
        // After a migration the counter may lag slightly behind the previous processor's.
        (now.wrapping_sub(self.since.load(Ordering::Relaxed)) as i64).max(0) as u64
    }

    /// Charges a segment during which the thread may not have been running throughout. Returns its end.
    #[cold]
    fn charge_by_clock(&self, has_stayed: bool, mark: Mark) -> u64 {
        if !has_stayed && mark.field.load(Ordering::Relaxed) != 0 {
            // Other code in this program uses restartable sequences; do not interfere with it.
            self.set_mark(Mark::NONE);
        } else {
            mark.field.store(mark.value, Ordering::Relaxed);
        }
        // Read again, since the mark covers only what follows it.
        let now = ticks::now();
        let passed = self.passed(now);
        let long = self.long.load(Ordering::Relaxed);
        let is_cpu = has_stayed && (mark.is_supported() || passed <= long);
        if self.tag.load(Ordering::Relaxed) == 0 && !is_cpu {
            let waited = self.waited_ticks.load(Ordering::Relaxed) + passed;
            if waited <= long * LONG_UNTAGGED {
                self.waited_ticks.store(waited, Ordering::Relaxed);
                add(&self.reading_ticks, passed);
                return now;
            }
        }
        let reading = ticks::thread_cpu_nanos();
        if is_cpu && passed <= long {
            add(&self.current().cpu_ticks, passed);
        } else {
            add(&self.current().cpu_nanos, self.cpu_of(passed, reading));
            add(&self.current().other_ticks, passed);
        }
        self.read_clock(now, reading);
        now
    }

    /// CPU time of a segment of `passed` ticks at whose end the clock shows `reading`: the clock's
    /// advance since its last reading, minus the segments since then that were charged by ticks, and at
    /// most the segment's length.
    fn cpu_of(&self, passed: u64, reading: u64) -> u64 {
        let scale = ticks::scale();
        let since = self.since.load(Ordering::Relaxed);
        let short = since.saturating_sub(self.reading_ticks.load(Ordering::Relaxed));
        let short = scale.to_nanos(short);
        let before = self.reading_nanos.load(Ordering::Relaxed);
        let used = reading.saturating_sub(before).saturating_sub(short);
        used.min(scale.to_nanos(passed))
    }

    #[inline]
    fn allocated_now(&self) -> u64 {
        let allocated = self.allocated.load(Ordering::Relaxed);
        // SAFETY: null, or this thread's own count, which is readable until the thread's thread-locals
        // are destroyed, as `set_allocated_source` requires; one of them releases the ledger. Only the
        // owner reads through the pointer.
        unsafe { allocated.cast_const().as_ref() }
            .copied()
            .unwrap_or(0)
    }

    #[inline]
    fn account(&self, tag: u32) -> &'static Account {
        let slot = &self.chunks[tag as usize / CHUNK % CHUNKS];
        let mut chunk = slot.load(Ordering::Relaxed);
        if chunk.is_null() {
            chunk = new_chunk(slot);
        }
        // SAFETY: chunks are leaked.
        unsafe { &(&*chunk)[tag as usize % CHUNK] }
    }
}

#[cold]
fn new_chunk(slot: &AtomicPtr<Chunk>) -> *mut Chunk {
    let chunk = as_profiler(|| Box::leak(Box::new(std::array::from_fn(|_| Account::default()))));
    slot.store(chunk, Ordering::Release);
    chunk
}

fn ledgers() -> impl Iterator<Item = &'static Ledger> {
    // SAFETY: null, or a leaked ledger.
    let follow = |ledger: &AtomicPtr<Ledger>| unsafe { ledger.load(Ordering::Acquire).as_ref() };
    std::iter::successors(follow(&FIRST), move |ledger| follow(&ledger.next))
}

impl Account {
    #[inline]
    fn count_poll(&self, lasted: u64) {
        let bounds = ticks::POLL_BOUNDS.iter();
        let bucket = bounds.take_while(|bound| lasted > bound.load(Ordering::Relaxed));
        let bucket = bucket.count();
        add(&self.poll_ticks, lasted);
        add(&self.poll_buckets[bucket], 1);
    }
}
