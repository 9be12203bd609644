//! The signal handler.
//!
//! It neither allocates nor locks, and calls nothing that does. The number that its timer carries has all that
//! it needs to know about the thread.

use super::buffer;
use super::kernel_event::Tick;
use super::ring::Writer;
use super::timer_value::{self, TimerValue};
use crate::sampler::OWN_HANDLER;
use crate::unwind::{self, Registers};
use crate::{Error, clock};
use std::sync::atomic::{AtomicU64, Ordering};

/// The elapsed time of a handler that takes longer is not its CPU time: its thread lost the processor.
const HANDLER_NANOS_MAX: u64 = 20_000;

/// The codes of signals that a file sends.
const POLL_IN: libc::c_int = 1;
const POLL_HUP: libc::c_int = 6;

/// SIGPROF signals that none of our timers sent.
static FOREIGN: AtomicU64 = AtomicU64::new(0);

/// The number of SIGPROF signals that none of our timers sent.
pub(super) fn foreign() -> u64 {
    FOREIGN.load(Ordering::Relaxed)
}

/// What handles SIGPROF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The handler of this crate.
    Own,
    /// No handler: the signal is ignored or ends the process.
    Free,
    /// A handler of the program, at this address.
    Program(u64),
}

/// What handles SIGPROF now.
pub(super) fn holder() -> std::io::Result<Holder> {
    // SAFETY: plain data; the call only reads what is installed.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the action outlives the call.
    if unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut action) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(match action.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => Holder::Free,
        handler if handler == on_sigprof as *const () as usize => Holder::Own,
        handler => Holder::Program(handler as u64),
    })
}

/// Installs the handler of SIGPROF, unless the application has one.
///
/// The handler stays for the life of the process, because a late signal must find it.
pub(super) fn install() -> Result<(), Error> {
    match holder().map_err(Error::Signal)? {
        Holder::Own => return Ok(()),
        Holder::Free => {}
        Holder::Program(_) => return Err(Error::SignalTaken),
    }
    let ours = on_sigprof as *const () as usize;
    // SAFETY: plain data, filled below. No SA_ONSTACK: Rust's alternate stacks are too small for
    // unwinding, and the stack that overflows is the one that is being unwound.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the action outlives the call, and its handler is signal-safe.
    if unsafe { libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(Error::Signal(std::io::Error::last_os_error()));
    }
    OWN_HANDLER.store(ours, Ordering::Release);
    static ATFORK: std::sync::Once = std::sync::Once::new();
    ATFORK.call_once(|| {
        // SAFETY: the three functions only change the calling thread's signal mask.
        unsafe { libc::pthread_atfork(Some(block), Some(unblock), Some(unblock)) };
    });
    Ok(())
}

thread_local! {
    static WAS_BLOCKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Blocks SIGPROF during a fork: the kernel restarts a fork that a signal interrupts, so one that takes
/// longer than the timer's period would never finish.
extern "C" fn block() {
    let before = mask(libc::SIG_BLOCK);
    // SAFETY: the set was filled by the call in `mask`.
    let was_blocked = unsafe { libc::sigismember(&raw const before, libc::SIGPROF) } == 1;
    WAS_BLOCKED.with(|was| was.set(was_blocked));
}

extern "C" fn unblock() {
    if !WAS_BLOCKED.with(std::cell::Cell::get) {
        mask(libc::SIG_UNBLOCK);
    }
}

fn mask(how: libc::c_int) -> libc::sigset_t {
    // SAFETY: the sets are plain data that outlive the calls.
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

/// Sends the calling thread the signal that a timer with this value would send.
pub(super) fn send(timer: TimerValue) {
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
        value: timer.to_signal(),
    };
    let info = Padded(info, [0; 128 - size_of::<TimerInfo>()]);
    // SAFETY: the information outlives the call, and goes to this very thread.
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

/// What sent a signal.
enum Cause {
    /// The timer of a thread.
    Timer(TimerValue),
    /// The timer that starts the perf event with this number.
    EventTimer(usize),
    /// The perf event with this number.
    Event(usize),
}

impl Cause {
    #[inline]
    fn of(info: &TimerInfo) -> Option<Self> {
        match info.code {
            libc::SI_TIMER => TimerValue::of_signal(info.value)
                .map(Self::Timer)
                .or_else(|| timer_value::event_of_signal(info.value).map(Self::EventTimer)),
            // The lower half is `si_fd`.
            POLL_IN..=POLL_HUP => Some(Self::Event(info.value & 0xffff_ffff)),
            _ => None,
        }
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
    // SAFETY: the context is the kernel's own.
    let registers = unsafe { Registers::of_signal(context) };
    match Cause::of(info) {
        Some(Cause::Timer(timer)) => record(timer, registers, info.overrun.max(0) as u64),
        Some(Cause::EventTimer(number)) => start_event(number, registers),
        Some(Cause::Event(number)) => record_event(number, registers),
        None => {
            FOREIGN.fetch_add(1, Ordering::Relaxed);
        }
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Writes a sample of the calling thread into a buffer.
#[inline]
pub(super) fn record(timer: TimerValue, registers: Registers, overruns: u64) {
    sample(timer.buffer, timer.period_nanos, registers, |_| {
        1 + overruns
    });
}

/// Starts the perf event of the calling thread, and writes a sample of the periods before that.
fn start_event(number: usize, registers: Registers) {
    if let Some(tick) = Tick::of(number) {
        sample(tick.buffer, tick.period_nanos, registers, |_| {
            tick.enable(number)
        });
    }
}

/// Writes a sample that begins with the stack of the kernel, if the thread was in the kernel.
fn record_event(number: usize, registers: Registers) {
    if let Some(tick) = Tick::of(number) {
        sample(tick.buffer, tick.period_nanos, registers, |writer| {
            tick.read(|pc| writer.push(pc))
        });
    }
}

/// Writes a sample of the calling thread into a buffer. `begin` writes the frames that come before those of the stack,
/// and returns the number of periods that the sample stands for; there is no sample if that is 0.
#[inline]
fn sample(
    preferred: usize,
    period_nanos: u64,
    registers: Registers,
    begin: impl FnOnce(&mut Writer<'_>) -> u64,
) {
    let begun = clock::signal_safe_nanos();
    let Some((buffer, mut writer)) = buffer::take(preferred) else {
        return;
    };
    let periods = begin(&mut writer);
    if periods == 0 {
        return;
    }
    unwind::walk(registers, Some(buffer.cache()), |pc| writer.push(pc));
    let counts = buffer.counts();
    let tag = davy_tag::Origin::of_this_thread().number();
    let span = davy_tag::SpanIds::current();
    if writer.publish(periods.saturating_mul(period_nanos), tag, span) {
        add(&counts.truncated, 1);
    }
    add(&counts.samples, 1);
    add(&counts.overruns, periods - 1);
    let elapsed = clock::signal_safe_nanos().saturating_sub(begun);
    add(&counts.handler_nanos, elapsed.min(HANDLER_NANOS_MAX));
}

/// Cheaper than an atomic addition; only the handler that holds the buffer writes.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
