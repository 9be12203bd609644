//! jemalloc's experimental hooks, as of 5.3.1: our own unwinder, and a call at each sample and at
//! each release of one.
//!
//! A hook runs inside the allocator. It allocates nothing and takes no lock, so it can't wait for
//! itself, not even in a child that was forked in the middle of one.

use super::{State, live, stacks};
use crate::aggregate::{Aggregate, Filter, TABLE_FULL};
use crate::stats::{HeapStats, LiveBytes, LiveHeap};
use crate::unwind::{self, Cache, Registers};
use davy_tag::Tag;
use rustc_hash::FxHashMap;
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

const OFF: &str = "the allocator is not jemalloc with profiling; \
                   put `davy_profiler::use_jemalloc!();` into the main file of the program";
const NOT_STARTED: &str = "the heap sampler is not running";

/// Threads that may unwind by tables at once; the others follow frame pointers.
const CACHES: usize = 16;

/// Mean distance between sampled bytes; 0 while the hooks are not installed.
static RATE: AtomicU64 = AtomicU64::new(0);
static IS_ACTIVE: AtomicBool = AtomicBool::new(false);
static SAMPLES: AtomicU64 = AtomicU64::new(0);
static RELEASED: AtomicU64 = AtomicU64::new(0);
static LIVE_DROPPED: AtomicU64 = AtomicU64::new(0);
static REASON: Mutex<&str> = Mutex::new(NOT_STARTED);
static POOL: OnceLock<Box<[Pooled]>> = OnceLock::new();

struct Pooled {
    is_busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

// SAFETY: the cache is only touched by the thread that holds `is_busy`.
unsafe impl Sync for Pooled {}
// SAFETY: a cache is memory of rules and rows; it belongs to no thread.
unsafe impl Send for Pooled {}

/// Begins to sample, if the allocator can.
pub(crate) fn start() -> Result<(), &'static str> {
    let started = install();
    let reason = started.err().unwrap_or(NOT_STARTED);
    *REASON.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    IS_ACTIVE.store(started.is_ok(), Ordering::Release);
    started
}

fn install() -> Result<(), &'static str> {
    // SAFETY: the types are those that jemalloc documents for these names.
    unsafe {
        if read::<bool>(c"opt.prof") != Some(true) {
            return Err(OFF);
        }
        let log2: usize = read(c"prof.lg_sample").ok_or("jemalloc tells no sampling rate")?;
        POOL.get_or_init(|| {
            let pooled = || Pooled {
                is_busy: AtomicBool::new(false),
                cache: UnsafeCell::new(unwind::new_cache()),
            };
            (0..CACHES).map(|_| pooled()).collect()
        });
        RATE.store(1 << log2, Ordering::Release);
        davy_tag::set_allocated_source(allocated_by_thread);
        let installed = write(
            c"experimental.hooks.prof_backtrace",
            on_backtrace as Backtrace,
        ) && write(c"experimental.hooks.prof_sample", on_sample as Sampled)
            && write(
                c"experimental.hooks.prof_sample_free",
                on_release as Released,
            )
            && write(c"prof.active", true);
        if installed {
            Ok(())
        } else {
            Err("this jemalloc has no profiling hooks")
        }
    }
}

/// Takes no new samples; those that live are still followed to their end.
pub(crate) fn stop() {
    if IS_ACTIVE.swap(false, Ordering::AcqRel) {
        // SAFETY: jemalloc documents a bool.
        unsafe { write(c"prof.active", false) };
    }
}

pub(crate) fn state() -> Result<State, &'static str> {
    if IS_ACTIVE.load(Ordering::Acquire) {
        let rate_bytes = RATE.load(Ordering::Acquire) as i64;
        return Ok(State { rate_bytes });
    }
    Err(*REASON.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What lives now, by tag.
pub(crate) fn live_heap() -> LiveHeap {
    let Ok(State { rate_bytes }) = state() else {
        return LiveHeap::default();
    };
    let of = |index: usize| {
        let live = stacks::live(index);
        LiveBytes {
            tag: Tag::from_index(index as u32),
            bytes: live.bytes.load(Ordering::Relaxed).max(0) as u64,
            objects: round(live.objects.load(Ordering::Relaxed)).max(0) as u64,
        }
    };
    LiveHeap {
        rate_bytes: rate_bytes as u64,
        tags: (0..davy_tag::count())
            .map(of)
            .filter(|live| live.bytes > 0)
            .collect(),
    }
}

pub(crate) fn stats() -> HeapStats {
    let samples = SAMPLES.load(Ordering::Relaxed);
    let live_dropped = LIVE_DROPPED.load(Ordering::Relaxed);
    HeapStats {
        off_because: state().err().unwrap_or(""),
        rate_bytes: RATE.load(Ordering::Relaxed),
        samples,
        live: samples.saturating_sub(RELEASED.load(Ordering::Relaxed) + live_dropped),
        live_dropped,
        stacks_dropped: stacks::dropped(),
    }
}

/// Where the calling thread's count of allocated bytes lies.
fn allocated_by_thread() -> *const u64 {
    // SAFETY: jemalloc documents a pointer to a u64, which is the thread's own for its life.
    let pointer = unsafe { read::<usize>(c"thread.allocatedp") };
    pointer.unwrap_or(0) as *const u64
}

type Backtrace = unsafe extern "C" fn(*mut *mut c_void, *mut c_uint, c_uint);
type Sampled = unsafe extern "C" fn(*const c_void, usize, *mut *mut c_void, c_uint, usize);
type Released = unsafe extern "C" fn(*const c_void, usize);

/// Writes the calling thread's stack.
///
/// # Safety
/// Called by jemalloc, with room for `room` pointers.
unsafe extern "C" fn on_backtrace(frames: *mut *mut c_void, count: *mut c_uint, room: c_uint) {
    // SAFETY: the address of this thread's errno is always valid; reading the stack changes it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let mut written = 0u32;
    let push = |pc: u64| {
        if written == room {
            return false;
        }
        // SAFETY: jemalloc gives room for this many.
        unsafe { *frames.add(written as usize) = pc as *mut c_void };
        written += 1;
        true
    };
    let here = Registers::here();
    let pool = POOL.get().map_or(&[][..], |pool| pool);
    let free = pool
        .iter()
        .find(|pooled| !pooled.is_busy.swap(true, Ordering::Acquire));
    match free {
        Some(pooled) => {
            // SAFETY: `is_busy` is held.
            unwind::walk(here, Some(unsafe { &mut *pooled.cache.get() }), push);
            pooled.is_busy.store(false, Ordering::Release);
        }
        None => unwind::walk(here, None, push),
    }
    // SAFETY: jemalloc's own counter, and errno as above.
    unsafe {
        *count = written;
        *errno = before;
    }
}

/// # Safety
/// Called by jemalloc, with the frames that `on_backtrace` wrote.
unsafe extern "C" fn on_sample(
    address: *const c_void,
    _asked: usize,
    frames: *mut *mut c_void,
    count: c_uint,
    size: usize,
) {
    // SAFETY: jemalloc's own vector, which the hook before this one filled; a pointer is as large
    // as the number that was written.
    let frames = unsafe { std::slice::from_raw_parts(frames.cast::<u64>(), count as usize) };
    let stack = stacks::find(davy_tag::current(), frames);
    let size = size as u64;
    let entry = stacks::entry(stack);
    let (objects, bytes) = weight(size);
    entry
        .allocated_objects
        .fetch_add(objects, Ordering::Relaxed);
    entry.allocated_bytes.fetch_add(bytes, Ordering::Relaxed);
    SAMPLES.fetch_add(1, Ordering::Relaxed);
    if live::insert(address as u64, live::Sample { stack, size }) {
        stacks::add_live(stack, objects, bytes);
    } else {
        LIVE_DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// # Safety
/// Called by jemalloc, before the address can be given out again.
unsafe extern "C" fn on_release(address: *const c_void, _size: usize) {
    let Some(sample) = live::remove(address as u64) else {
        return;
    };
    let (objects, bytes) = weight(sample.size);
    stacks::add_live(sample.stack, -objects, -bytes);
    RELEASED.fetch_add(1, Ordering::Relaxed);
}

/// What a sample of this size stands for: objects in 1,024ths, and bytes.
///
/// A size is sampled with probability `1 - exp(-size / rate)`, since the gaps between sampled bytes
/// are exponential. The same size always weighs the same, so a release takes away exactly what its
/// allocation added.
fn weight(size: u64) -> (i64, i64) {
    let rate = RATE.load(Ordering::Relaxed).max(1) as f64;
    let size = size as f64;
    let objects = 1.0 / -f64::exp_m1(-size.max(1.0) / rate);
    ((objects * stacks::OBJECT) as i64, (objects * size) as i64)
}

/// What had been allocated when the last window was cut.
#[derive(Debug, Default)]
pub(crate) struct Totals(FxHashMap<u16, (i64, i64)>);

impl Totals {
    /// What has been allocated by now.
    pub(crate) fn now() -> Self {
        let mut totals = Self::default();
        stacks::visit(|number, _, _, entry| {
            totals.0.insert(number, allocated(entry));
        });
        totals
    }
}

fn allocated(entry: &stacks::Entry) -> (i64, i64) {
    (
        round(entry.allocated_objects.load(Ordering::Relaxed)),
        entry.allocated_bytes.load(Ordering::Relaxed),
    )
}

fn round(objects: i64) -> i64 {
    (objects as f64 / stacks::OBJECT).round() as i64
}

/// Adds the heap to an aggregate: what lives, and what was allocated since `totals` were taken,
/// which are brought up to now; without them, since ever.
pub(crate) fn snapshot(
    aggregate: &mut Aggregate,
    filter: &Filter,
    mut totals: Option<&mut Totals>,
) {
    stacks::visit(|number, tag, frames, entry| {
        if !filter.keeps(tag) {
            return;
        }
        let now = allocated(entry);
        let before = match &mut totals {
            Some(totals) => totals.0.insert(number, now).unwrap_or_default(),
            None => (0, 0),
        };
        let values = [
            now.0 - before.0,
            now.1 - before.1,
            round(entry.live_objects.load(Ordering::Relaxed)).max(0),
            entry.live_bytes.load(Ordering::Relaxed).max(0),
        ];
        if values != [0; 4] {
            let frames = if frames.is_empty() {
                &[TABLE_FULL]
            } else {
                frames
            };
            let is_cut = frames.len() >= super::MAX_FRAMES;
            aggregate.add(frames, is_cut, tag, values);
        }
    });
}

/// # Safety
/// `T` is the type that jemalloc documents for this name.
unsafe fn read<T: Default>(name: &CStr) -> Option<T> {
    let mut value = T::default();
    let mut size = size_of::<T>();
    // SAFETY: the value has the size that is told, and lives through the call.
    let failed = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            (&raw mut value).cast(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    (failed == 0).then_some(value)
}

/// # Safety
/// `T` is the type that jemalloc documents for this name.
unsafe fn write<T>(name: &CStr, mut value: T) -> bool {
    // SAFETY: the value has the size that is told, and lives through the call.
    let failed = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut value).cast(),
            size_of::<T>(),
        )
    };
    failed == 0
}
