//! The signal handler and what it writes to.
//!
//! It allocates nothing, locks nothing and calls nothing that does; it finds everything through
//! the number that its timer carries.

use super::ring::Ring;
use crate::unwind::{self, Cache, Registers};
use crate::{Error, clock};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Threads that can be sampled at a time.
pub(super) const SLOTS: usize = 4_096;

/// Marks our timers' values, so that another timer's SIGPROF is told apart.
const MAGIC: usize = 0x4441_5659 << 32;

static BY_INDEX: [AtomicPtr<Slot>; SLOTS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS];

/// SIGPROF that none of our timers sent.
static STRAYS: AtomicU64 = AtomicU64::new(0);

/// What the handler of one thread writes. Never freed: when its thread is dead, the next one
/// takes it over.
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) ring: Ring,
    /// The timer's period: what one sample stands for.
    pub(super) period_nanos: AtomicU64,
    pub(super) counts: Counts,
    is_busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

/// What a slot's handler counted since the process began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) samples: AtomicU64,
    pub(super) ring_full: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) overruns: AtomicU64,
    pub(super) handler_nanos: AtomicU64,
}

// SAFETY: everything but the cache is atomic; the cache is only touched by the handler that holds
// `is_busy`.
unsafe impl Sync for Slot {}

impl Slot {
    /// A new slot under this number, for the life of the process.
    pub(super) fn leak(index: usize) -> &'static Self {
        let slot = Box::leak(Box::new(Self {
            index,
            ring: Ring::new(),
            period_nanos: AtomicU64::new(0),
            counts: Counts::default(),
            is_busy: AtomicBool::new(false),
            cache: UnsafeCell::new(unwind::new_cache()),
        }));
        BY_INDEX[index].store(slot, Ordering::Release);
        slot
    }

    /// Forgets what an earlier engine has left. Where that was in the process that this one was forked
    /// from, a handler may have been under way, which here it is not.
    pub(super) fn begin_anew(&self, is_forked: bool) {
        if is_forked {
            self.is_busy.store(false, Ordering::Release);
        }
        self.ring.drain(|_| ());
    }

    /// Empties the cache, unless its handler runs.
    pub(super) fn forget(&self) {
        if !self.is_busy.swap(true, Ordering::Acquire) {
            // SAFETY: `is_busy` is held.
            unsafe { *self.cache.get() = unwind::new_cache() };
            self.is_busy.store(false, Ordering::Release);
        }
    }

    /// What this slot's timer is to carry.
    pub(super) fn signal_value(&self) -> usize {
        MAGIC | self.index
    }
}

pub(super) fn strays() -> u64 {
    STRAYS.load(Ordering::Relaxed)
}

/// The handler's address, by which it is known.
#[cfg(feature = "pprof-engine")]
pub(super) fn own() -> usize {
    on_sigprof as *const () as usize
}

/// Takes SIGPROF, unless the application has a handler of its own for it.
///
/// The handler stays for the life of the process: a late signal must find it.
pub(super) fn install() -> Result<(), Error> {
    // SAFETY: plain data; the first call only reads what is installed.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `before` lives through the call.
    if unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut before) } != 0 {
        return Err(Error::Signal(std::io::Error::last_os_error()));
    }
    let ours = on_sigprof as *const () as usize;
    if before.sa_sigaction == ours {
        return Ok(());
    }
    if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN {
        return Err(Error::SignalTaken);
    }
    // SAFETY: plain data, filled below. No SA_ONSTACK: Rust's alternate stacks are too small for
    // unwinding, and the stack that overflows is the one that is being unwound.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the action lives through the call, and its handler is signal-safe.
    if unsafe { libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(Error::Signal(std::io::Error::last_os_error()));
    }
    static ATFORK: std::sync::Once = std::sync::Once::new();
    ATFORK.call_once(|| {
        // SAFETY: the three functions only change the calling thread's signal mask.
        unsafe { libc::pthread_atfork(Some(hold), Some(release), Some(release)) };
    });
    Ok(())
}

thread_local! {
    static WAS_BLOCKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A fork that takes longer than the timer's period would be interrupted and begun anew for ever.
extern "C" fn hold() {
    let before = mask(libc::SIG_BLOCK);
    // SAFETY: the set was filled by the call in `mask`.
    let was_blocked = unsafe { libc::sigismember(&raw const before, libc::SIGPROF) } == 1;
    WAS_BLOCKED.with(|was| was.set(was_blocked));
}

extern "C" fn release() {
    if !WAS_BLOCKED.with(std::cell::Cell::get) {
        mask(libc::SIG_UNBLOCK);
    }
}

fn mask(how: libc::c_int) -> libc::sigset_t {
    // SAFETY: the sets are plain data that live through the calls.
    unsafe {
        let (mut set, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPROF);
        libc::pthread_sigmask(how, &raw const set, &raw mut before);
        before
    }
}

/// The beginning of the kernel's `siginfo_t` for a timer on 64-bit systems.
#[repr(C)]
struct TimerInfo {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    timer: libc::c_int,
    overrun: libc::c_int,
    value: usize,
}

/// Sends the calling thread what this slot's timer would send.
pub(super) fn send(slot: &Slot) {
    /// The kernel copies a whole `siginfo_t`.
    #[repr(C)]
    struct Padded(TimerInfo, [u8; 128 - size_of::<TimerInfo>()]);
    let info = TimerInfo {
        signal: libc::SIGPROF,
        errno: 0,
        code: libc::SI_TIMER,
        padding: 0,
        timer: 0,
        overrun: 0,
        value: slot.signal_value(),
    };
    let info = Padded(info, [0; 128 - size_of::<TimerInfo>()]);
    // SAFETY: the information lives through the call, and goes to this very thread.
    unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            libc::getpid(),
            libc::gettid(),
            libc::SIGPROF,
            &raw const info,
        );
    }
}

extern "C" fn on_sigprof(
    _signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the address of this thread's errno is always valid.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: the kernel gives a whole siginfo_t, which is larger than this.
    let info = unsafe { &*info.cast::<TimerInfo>() };
    let index = info.value ^ MAGIC;
    let slot = match BY_INDEX.get(index) {
        // SAFETY: null, or a slot that was leaked.
        Some(slot) if info.code == libc::SI_TIMER => unsafe {
            slot.load(Ordering::Acquire).as_ref()
        },
        _ => None,
    };
    if let Some(slot) = slot {
        // SAFETY: the context is the kernel's own.
        let registers = unsafe { Registers::of_signal(context) };
        record(slot, registers, info.overrun.max(0) as u64);
    } else {
        STRAYS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

pub(super) fn record(slot: &Slot, registers: Registers, overruns: u64) {
    let begin = clock::thread_safe_nanos();
    let counts = &slot.counts;
    let nanos = (1 + overruns).saturating_mul(slot.period_nanos.load(Ordering::Relaxed));
    // Only a forged signal finds its slot busy: our own is blocked while its handler runs.
    if slot.is_busy.swap(true, Ordering::Acquire) {
        STRAYS.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if let Some(mut writer) = slot.ring.writer() {
        // SAFETY: `is_busy` is held.
        let cache = unsafe { &mut *slot.cache.get() };
        unwind::walk(registers, Some(cache), |pc| writer.push(pc));
        let tag = davy_tag::current().index();
        if writer.publish(nanos, tag) {
            add(&counts.cut, 1);
        }
        add(&counts.samples, 1);
    } else {
        add(&counts.ring_full, 1);
    }
    add(&counts.overruns, overruns);
    add(
        &counts.handler_nanos,
        clock::thread_safe_nanos().saturating_sub(begin),
    );
    slot.is_busy.store(false, Ordering::Release);
}

/// Cheaper than an atomic addition; only the slot's own handler writes.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
