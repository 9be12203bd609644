//! The experimental hooks of jemalloc 5.3.1: our unwinder, and calls for each sampled allocation and for
//! its release.
//!
//! A hook runs inside the allocator. It neither allocates nor locks, so it cannot deadlock, not even in a
//! child that was forked while a hook was running.

use super::live::{self, Sample};
use super::{rate, stacks, unclaimed};
use crate::allocation_alarm;
use crate::stats::{HeapStats, LiveBytes, LiveHeap};
use crate::unwind::{self, Registers};
use davy_tag::{Origin, Tag};
use std::ffi::{CStr, c_uint, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

const NO_JEMALLOC: &str = "the allocator is not jemalloc with profiling enabled; \
                           put `davy_profiler::use_jemalloc!();` into the main file of the program";
const NOT_STARTED: &str = "the heap sampler is not running";

static IS_ACTIVE: AtomicBool = AtomicBool::new(false);
static SAMPLES: AtomicU64 = AtomicU64::new(0);
static RELEASED: AtomicU64 = AtomicU64::new(0);
static LIVE_DROPPED: AtomicU64 = AtomicU64::new(0);
static REASON: Mutex<&str> = Mutex::new(NOT_STARTED);

/// The code of our hook and of the functions of jemalloc that programs call.
static CODE: OnceLock<Vec<Range<u64>>> = OnceLock::new();

fn allocator_code() -> Vec<Range<u64>> {
    use tikv_jemalloc_sys as jemalloc;
    let functions = [
        on_backtrace as *const () as u64,
        jemalloc::malloc as *const () as u64,
        jemalloc::calloc as *const () as u64,
        jemalloc::realloc as *const () as u64,
        jemalloc::posix_memalign as *const () as u64,
        jemalloc::aligned_alloc as *const () as u64,
        jemalloc::mallocx as *const () as u64,
        jemalloc::rallocx as *const () as u64,
        jemalloc::xallocx as *const () as u64,
    ];
    unwind::functions(&functions)
}

/// Whether an address is in our hook or in a function of jemalloc that programs call. Known without names: everything
/// from there to the leaf of a stack is left out.
pub(crate) fn is_allocator_code(address: u64) -> bool {
    let code = CODE.get().map_or(&[][..], Vec::as_slice);
    code.iter().any(|function| function.contains(&address))
}

/// Starts sampling, if the allocator supports it.
pub(crate) fn start() -> Result<(), &'static str> {
    let started = install();
    let reason = started.err().unwrap_or(NOT_STARTED);
    *REASON.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    IS_ACTIVE.store(started.is_ok(), Ordering::Release);
    started
}

fn install() -> Result<(), &'static str> {
    // SAFETY: jemalloc documents these types for these names.
    unsafe {
        if read::<bool>(c"opt.prof") != Some(true) {
            return Err(NO_JEMALLOC);
        }
        let log2: usize =
            read(c"prof.lg_sample").ok_or("jemalloc does not report its sampling rate")?;
        unwind::fill_pool();
        rate::begin(log2 as u8);
        davy_tag::set_allocated_source(allocated_by_thread);
        CODE.get_or_init(allocator_code);
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

/// Gives the calling thread an arena of its own with this much address space, so that it need not ask the
/// kernel for more. The pages are not touched.
pub(crate) fn reserve(bytes: usize) {
    /// Larger blocks would go to an arena that all threads share.
    const BLOCK: usize = 1 << 20;
    // SAFETY: jemalloc documents an unsigned integer for both names.
    unsafe {
        let Some(arena) = read::<c_uint>(c"arenas.create") else {
            return;
        };
        write(c"thread.arena", arena);
    }
    let blocks: Vec<Vec<u8>> = (0..bytes / BLOCK)
        .map(|_| Vec::with_capacity(BLOCK))
        .collect();
    drop(std::hint::black_box(blocks));
}

/// Changes the mean distance between sampled bytes to a power of two.
pub(crate) fn set_rate(log2: u8) -> Result<(), &'static str> {
    rate_bytes()?;
    // SAFETY: jemalloc documents a size_t. This resets its own statistics, which are not used; the release
    // of live samples is still reported.
    let make = || unsafe { write(c"prof.reset", usize::from(log2)) };
    if rate::change(log2, make) {
        Ok(())
    } else {
        Err("this jemalloc cannot change its sampling rate")
    }
}

/// Stops taking samples. The release of live ones is still counted.
pub(crate) fn stop() {
    if IS_ACTIVE.swap(false, Ordering::AcqRel) {
        // SAFETY: jemalloc documents a bool for this name.
        unsafe { write(c"prof.active", false) };
    }
}

/// Mean distance between sampled bytes, or why there is no heap profile.
pub(crate) fn rate_bytes() -> Result<i64, &'static str> {
    if IS_ACTIVE.load(Ordering::Acquire) {
        return Ok(1 << rate::now());
    }
    Err(*REASON.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Live memory by tag.
pub(crate) fn live_heap() -> LiveHeap {
    let Ok(rate_bytes) = rate_bytes() else {
        return LiveHeap::default();
    };
    let of = |index: usize| {
        let live = stacks::live(index);
        LiveBytes {
            tag: Tag::from_index(index as u32),
            bytes: live.bytes.load(Ordering::Relaxed).max(0) as u64,
            objects: stacks::objects(live.objects.load(Ordering::Relaxed)).max(0) as u64,
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
        disabled_reason: rate_bytes().err().unwrap_or(""),
        rate_bytes: match rate::now() {
            0 => 0,
            rate => 1 << rate,
        },
        samples,
        live: samples.saturating_sub(RELEASED.load(Ordering::Relaxed) + live_dropped),
        live_dropped,
        stacks_dropped: stacks::dropped(),
    }
}

/// The address of the calling thread's counter of allocated bytes. Called when a thread gets its first
/// tag, so this is also when the thread is registered.
fn allocated_by_thread() -> *const u64 {
    crate::thread::register_thread();
    // SAFETY: jemalloc documents a pointer to a u64, which belongs to the thread for its whole life.
    let pointer = unsafe { read::<usize>(c"thread.allocatedp") };
    pointer.unwrap_or(0) as *const u64
}

type Backtrace = unsafe extern "C" fn(*mut *mut c_void, *mut c_uint, c_uint);
type Sampled = unsafe extern "C" fn(*const c_void, usize, *mut *mut c_void, c_uint, usize);
type Released = unsafe extern "C" fn(*const c_void, usize);

/// Writes the calling thread's stack.
///
/// # Safety
/// Called by jemalloc, with space for `capacity` pointers.
unsafe extern "C" fn on_backtrace(frames: *mut *mut c_void, count: *mut c_uint, capacity: c_uint) {
    // SAFETY: the address of this thread's errno is always valid; reading the stack changes it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let mut written = 0u32;
    let push = |pc: u64| {
        if written == capacity {
            return false;
        }
        // SAFETY: jemalloc provides space for this many.
        unsafe { *frames.add(written as usize) = pc as *mut c_void };
        written += 1;
        true
    };
    let here = Registers::here();
    unwind::with_cache(|cache| unwind::walk(here, cache, push));
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
    _requested: usize,
    frames: *mut *mut c_void,
    count: c_uint,
    size: usize,
) {
    // SAFETY: jemalloc's own vector, which `on_backtrace` filled; a pointer has the size of the numbers
    // that were written.
    let frames = unsafe { std::slice::from_raw_parts(frames.cast::<u64>(), count as usize) };
    let origin = Origin::of_this_thread();
    let sample = Sample {
        stack: stacks::find(origin.tag_or_default(), frames),
        rate: rate::of_sample(),
        size: size as u64,
    };
    let (objects, bytes) = sample.weight();
    stacks::add_allocated(sample.stack, objects, bytes);
    SAMPLES.fetch_add(1, Ordering::Relaxed);
    allocation_alarm::on_allocated(bytes as u64);
    if live::insert(address as u64, sample) {
        stacks::add_live(sample.stack, objects, bytes);
        if origin.tag().is_none() {
            unclaimed::note(origin, address as u64, sample);
        }
    } else {
        LIVE_DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// # Safety
/// Called by jemalloc, before the address can be allocated again.
unsafe extern "C" fn on_release(address: *const c_void, _size: usize) {
    let Some(sample) = live::remove(address as u64) else {
        return;
    };
    let (objects, bytes) = sample.weight();
    stacks::add_live(sample.stack, -objects, -bytes);
    RELEASED.fetch_add(1, Ordering::Relaxed);
}

/// # Safety
/// `T` is the type that jemalloc documents for this name.
unsafe fn read<T: Default>(name: &CStr) -> Option<T> {
    let mut value = T::default();
    let mut size = size_of::<T>();
    // SAFETY: the value has the given size and outlives the call.
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
    // SAFETY: the value has the given size and outlives the call.
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
