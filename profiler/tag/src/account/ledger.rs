//! What one thread has charged, by tag.
//!
//! Ledgers are never freed and never cleared. A thread that begins takes over one that a thread
//! which ended has left, and goes on adding to it, so what dead threads have cost is still there
//! and there are as many ledgers as there ever were threads at a time. There is no lock: a child
//! that is forked at any instant finds a list that it can read and take from.

use super::stay::Mark;
use super::{BUCKETS, allocated_source, ticks};
use crate::Tag;
use crate::current::untagged;
use crate::table::MAX_TAGS;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

const CHUNK: usize = 32;
const CHUNKS: usize = MAX_TAGS / CHUNK;

/// A new reading of the thread's CPU clock is due when the last is this many long segments old.
const READING_LASTS: u64 = 1_000;
/// A thread without a tag that lost its processor mostly waited. Only as many long segments of that
/// are worth a reading of its clock; what is shorter is taken to have used no CPU.
const LONG_UNTAGGED: u64 = 3;

/// Written by the thread that owns the ledger, read by all.
#[derive(Debug, Default)]
struct Account {
    /// Segments that were all CPU time, in ticks.
    cpu_ticks: AtomicU64,
    /// CPU time of the others, in nanoseconds, and their length, in ticks.
    cpu_nanos: AtomicU64,
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
    /// The tag that has the thread, its account, and since when, in ticks.
    tag: AtomicU32,
    current: AtomicPtr<Account>,
    since: AtomicU64,
    /// What a long segment is, in ticks; a copy that lies near.
    long: AtomicU64,
    /// Where the mark of the thread lies that says that it has kept its processor, and the mark.
    mark_place: AtomicPtr<AtomicU64>,
    mark: AtomicU64,
    /// The thread's CPU clock, what it showed when it was last read, and when that was; the latter
    /// moved on by every wait since, so that from there to now is CPU time by the ticks.
    clock: AtomicI32,
    reading_nanos: AtomicU64,
    reading_ticks: AtomicU64,
    /// Waits since then that are taken to have used no CPU, in ticks.
    waited_ticks: AtomicU64,
    /// Where the thread's count of allocated bytes lies, and what it was at the last change.
    allocated: AtomicPtr<u64>,
    allocated_before: AtomicU64,
}

/// What all ledgers together say of a tag.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) cpu_ticks: u64,
    pub(super) cpu_nanos: u64,
    pub(super) poll_ticks: u64,
    pub(super) allocated_bytes: u64,
    pub(super) poll_buckets: [u64; BUCKETS],
}

/// Every ledger there is; new ones are put in front.
static FIRST: AtomicPtr<Ledger> = AtomicPtr::new(std::ptr::null_mut());

/// Cheaper than an atomic addition; only the owner of a ledger writes to it.
#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(sum, Ordering::Relaxed);
}

thread_local! {
    /// Null before the thread's first change of hands, and again once its ledger is given back.
    static LEDGER: Cell<Option<&'static Ledger>> = const { Cell::new(None) };
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
    static GIVE_BACK: GiveBack = const { GiveBack };
}

/// Gives the ledger back when the thread ends.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        IS_OVER.with(|over| over.set(true));
        if let Some(ledger) = LEDGER.with(Cell::take) {
            ledger.charge(0);
            ledger.set_mark(Mark::NONE);
            ledger.is_owned.store(false, Ordering::Release);
        }
    }
}

/// The calling thread goes from the tag that had it to the next; answers the ticks by which it
/// did.
#[inline]
pub(crate) fn switched(next: u32) -> u64 {
    match LEDGER.with(Cell::get) {
        Some(ledger) => ledger.charge(next),
        None => open(next),
    }
}

/// As [`switched`], at the end of a poll that began at `begun`.
#[inline]
pub(crate) fn polled(begun: u64, next: u32) {
    let Some(ledger) = LEDGER.with(Cell::get) else {
        return;
    };
    let account = ledger.current();
    let ended = ledger.charge(next);
    account.count_poll(ended.saturating_sub(begun));
}

/// The thread's first change of hands, or one after its ledger is gone.
#[cold]
fn open(next: u32) -> u64 {
    if IS_OVER.with(Cell::get) || GIVE_BACK.try_with(|_| ()).is_err() {
        return ticks::now();
    }
    let ledger = untagged(Ledger::take);
    LEDGER.with(|own| own.set(Some(ledger)));
    ledger.begin(next)
}

impl Ledger {
    /// One that nobody owns, or a new one.
    fn take() -> &'static Self {
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
            mark_place: AtomicPtr::default(),
            mark: AtomicU64::new(0),
            clock: AtomicI32::new(-1),
            reading_nanos: AtomicU64::new(0),
            reading_ticks: AtomicU64::new(0),
            waited_ticks: AtomicU64::new(0),
            allocated: AtomicPtr::default(),
            allocated_before: AtomicU64::new(0),
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
        self.long.store(ticks::scale().long, Ordering::Relaxed);
        self.clock.store(ticks::own_cpu_clock(), Ordering::Relaxed);
        let allocated = allocated_source().map_or(std::ptr::null(), |source| source());
        self.allocated
            .store(allocated.cast_mut(), Ordering::Relaxed);
        self.allocated_before
            .store(self.allocated_now(), Ordering::Relaxed);
        let mark = Mark::of_this_thread();
        self.set_mark(mark);
        mark.place.store(mark.value, Ordering::Relaxed);
        let now = ticks::now();
        self.read_clock(now, ticks::thread_cpu_nanos());
        self.hand_to(next, now);
        now
    }

    fn set_mark(&self, mark: Mark) {
        let place = std::ptr::from_ref(mark.place).cast_mut();
        self.mark_place.store(place, Ordering::Relaxed);
        self.mark.store(mark.value, Ordering::Relaxed);
    }

    /// The mark of the calling thread, whose ledger this is.
    #[inline]
    fn mark(&self) -> Mark {
        let place = self.mark_place.load(Ordering::Relaxed);
        Mark {
            // SAFETY: `begin` came first, on this thread, so it is the thread's own or a static.
            place: unsafe { &*place },
            value: self.mark.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn hand_to(&self, next: u32, now: u64) {
        self.tag.store(next, Ordering::Relaxed);
        let account = std::ptr::from_ref(self.account(next));
        self.current.store(account.cast_mut(), Ordering::Relaxed);
        self.since.store(now, Ordering::Release);
    }

    /// The account of the tag that has the thread.
    #[inline]
    fn current(&self) -> &'static Account {
        // SAFETY: `begin` came first, so it is an account, and accounts are leaked.
        unsafe { &*self.current.load(Ordering::Relaxed) }
    }

    fn read_clock(&self, now: u64, nanos: u64) {
        self.waited_ticks.store(0, Ordering::Relaxed);
        self.reading_ticks.store(now, Ordering::Relaxed);
        self.reading_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Charges what has passed to the tag that has the thread; from now on it is for `next`.
    ///
    /// Untagged work is charged as well, since that is cheaper than to ask; nobody reads it.
    #[inline]
    fn charge(&self, next: u32) -> u64 {
        let mut now = ticks::now();
        let passed = self.passed(now);
        let long = self.long.load(Ordering::Relaxed);
        let since_reading = now.wrapping_sub(self.reading_ticks.load(Ordering::Relaxed));
        let mark = self.mark();
        let has_stayed = mark.place.load(Ordering::Relaxed) == mark.value;
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
        self.hand_to(next, now);
        now
    }

    /// Ticks of the segment that ends now.
    #[inline]
    fn passed(&self, now: u64) -> u64 {
        // A processor whose counter lags behind another's shows a little less than there was.
        (now.wrapping_sub(self.since.load(Ordering::Relaxed)) as i64).max(0) as u64
    }

    /// Charges a segment that was not all CPU time, or may not have been; answers when it ended.
    #[cold]
    fn charge_by_clock(&self, has_stayed: bool, mark: Mark) -> u64 {
        if !has_stayed && mark.place.load(Ordering::Relaxed) != 0 {
            // Somebody else in this program has sequences, and is not to be disturbed.
            self.set_mark(Mark::NONE);
        } else {
            mark.place.store(mark.value, Ordering::Relaxed);
        }
        // Read anew, since the mark speaks for what comes after it.
        let now = ticks::now();
        let passed = self.passed(now);
        let long = self.long.load(Ordering::Relaxed);
        let is_cpu = has_stayed && (mark.is_told() || passed <= long);
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

    /// CPU time of a segment of so many ticks at whose end the clock shows `reading`: what the
    /// clock says since its last reading, less the segments since that were all CPU time, and never
    /// above the segment's length.
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
        // SAFETY: null, or this thread's own count, which `set_allocated_source` promises to last
        // until the thread's thread-locals go; one of them takes the ledger back. Nobody but the
        // thread reads through it.
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
    let chunk = untagged(|| Box::leak(Box::new(std::array::from_fn(|_| Account::default()))));
    slot.store(chunk, Ordering::Release);
    chunk
}

fn ledgers() -> impl Iterator<Item = &'static Ledger> {
    // SAFETY: null, or a ledger that was leaked.
    let follow = |ledger: &AtomicPtr<Ledger>| unsafe { ledger.load(Ordering::Acquire).as_ref() };
    std::iter::successors(follow(&FIRST), move |ledger| follow(&ledger.next))
}

/// What a thread spent on one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagTime {
    /// The tag.
    pub tag: Tag,
    /// CPU time in nanoseconds.
    pub cpu_nanos: u64,
    /// Elapsed time in nanoseconds that the tag had the thread.
    pub wall_nanos: u64,
}

/// What one thread spent on each tag. A thread takes over the counters that one which ended has
/// left, so only differences say something of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadUsage {
    /// Which counters these are; stays theirs when the thread changes.
    pub counters: usize,
    /// The kernel's number of the thread that has them now; none where it has ended.
    pub thread: Option<i32>,
    /// The tag that has the thread now.
    pub tag: Tag,
    /// In the order of [`Tag::index`], without the untagged.
    pub times: Vec<TagTime>,
}

/// What each thread that was ever tagged spent on each tag, work under way included.
pub fn threads() -> Vec<ThreadUsage> {
    let mut usages: Vec<_> = ledgers().map(Ledger::usage).collect();
    // Ledgers are put in front, so that the last is the first that there was.
    usages.reverse();
    for (counters, usage) in usages.iter_mut().enumerate() {
        usage.counters = counters;
    }
    usages
}

/// Adds every ledger to the sums, which are by tag.
pub(super) fn add_all(sums: &mut [Option<Sum>]) {
    for ledger in ledgers() {
        for (number, chunk) in ledger.chunks.iter().enumerate() {
            // SAFETY: null, or a chunk that was leaked.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            for (at, account) in chunk.iter().enumerate() {
                let tag = number * CHUNK + at;
                if tag != 0 {
                    account.add_to(&mut sums[tag]);
                }
            }
        }
        if let Some((tag, nanos, _)) = ledger.under_way() {
            sums[tag as usize].get_or_insert_default().cpu_nanos += nanos;
        }
    }
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

    fn add_to(&self, sum: &mut Option<Sum>) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (cpu_ticks, cpu_nanos) = (read(&self.cpu_ticks), read(&self.cpu_nanos));
        let allocated_bytes = read(&self.allocated_bytes);
        let poll_buckets = self.poll_buckets.each_ref().map(read);
        if cpu_ticks | cpu_nanos | allocated_bytes == 0 && poll_buckets == [0; BUCKETS] {
            return;
        }
        let sum = sum.get_or_insert_default();
        sum.cpu_ticks += cpu_ticks;
        sum.cpu_nanos += cpu_nanos;
        sum.poll_ticks += read(&self.poll_ticks);
        sum.allocated_bytes += allocated_bytes;
        for (sum, count) in sum.poll_buckets.iter_mut().zip(poll_buckets) {
            *sum += count;
        }
    }
}

impl Ledger {
    /// The tag of the long segment that the ledger's thread is in, its CPU time and its ticks.
    fn under_way(&self) -> Option<(u32, u64, u64)> {
        if !self.is_owned.load(Ordering::Acquire) {
            return None;
        }
        let since = self.since.load(Ordering::Acquire);
        let tag = self.tag.load(Ordering::Relaxed);
        let passed = (ticks::now().wrapping_sub(since) as i64).max(0) as u64;
        if tag == 0 || passed <= ticks::scale().long {
            return None;
        }
        let reading = ticks::cpu_nanos_of(self.clock.load(Ordering::Relaxed))?;
        let nanos = self.cpu_of(passed, reading);
        fence(Ordering::Acquire);
        // A thread that changed hands meanwhile has charged the segment itself.
        let is_same = self.since.load(Ordering::Relaxed) == since;
        is_same.then_some((tag, nanos, passed))
    }

    fn usage(&self) -> ThreadUsage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let under_way = self.under_way();
        let mut times = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            // SAFETY: null, or a chunk that was leaked.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            for (at, account) in chunk.iter().enumerate() {
                let tag = (number * CHUNK + at) as u32;
                let (nanos, ticks) = match under_way {
                    Some((of, nanos, ticks)) if of == tag => (nanos, ticks),
                    _ => (0, 0),
                };
                let short = ticks::to_nanos(read(&account.cpu_ticks));
                let long = ticks::to_nanos(read(&account.other_ticks) + ticks);
                if tag != 0 && short + long > 0 {
                    times.push(TagTime {
                        tag: Tag::from_index(tag),
                        cpu_nanos: short + read(&account.cpu_nanos) + nanos,
                        wall_nanos: short + long,
                    });
                }
            }
        }
        let thread = ticks::thread_of(self.clock.load(Ordering::Relaxed));
        ThreadUsage {
            counters: 0,
            thread: thread.filter(|_| self.is_owned.load(Ordering::Acquire)),
            tag: Tag::from_index(self.tag.load(Ordering::Relaxed)),
            times,
        }
    }
}
