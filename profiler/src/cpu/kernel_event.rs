//! A perf event that counts a thread's CPU time and records its kernel stack once per period.
//!
//! Sources: perf_event_open(2), and the kernel's `include/uapi/linux/perf_event.h`.

use super::kernel_ring;
use crate::clock;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_TASK_CLOCK: u64 = 1;
const PERF_SAMPLE_CALLCHAIN: u64 = 1 << 5;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
const DISABLED: u64 = 1;
const EXCLUDE_HV: u64 = 1 << 6;
const EXCLUDE_CALLCHAIN_USER: u64 = 1 << 22;
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
const PERF_EVENT_IOC_DISABLE: libc::c_ulong = 0x2401;
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

/// Events with a higher file descriptor are not used.
const EVENTS_MAX: usize = 1 << 14;
/// How often [`KernelEvent::drop`] yields to a handler that reads the ring.
const YIELDS_MAX: usize = 100;

/// The first version of the kernel's `struct perf_event_attr`, 64 bytes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
}

/// What the handler needs to know about an event, by file descriptor. The handler of the event's thread is the only one
/// that uses it.
struct Slot {
    /// Null unless there is an event.
    ring: AtomicPtr<u8>,
    is_enabled: AtomicBool,
    is_reading: AtomicBool,
    period_nanos: AtomicU64,
    /// CPU time of the thread before its first period, which may be negative; see [`KernelEvent::begin_at`].
    begin_nanos: AtomicI64,
    buffer: AtomicU32,
}

static SLOTS: [Slot; EVENTS_MAX] = [const {
    Slot {
        ring: AtomicPtr::new(std::ptr::null_mut()),
        is_enabled: AtomicBool::new(false),
        is_reading: AtomicBool::new(false),
        period_nanos: AtomicU64::new(0),
        begin_nanos: AtomicI64::new(0),
        buffer: AtomicU32::new(0),
    }
}; EVENTS_MAX];

/// Forgets the events of the parent process, whose rings do not exist in a forked child.
pub(super) fn forget_all() {
    for slot in &SLOTS {
        if !slot.ring.load(Ordering::Relaxed).is_null() {
            slot.ring.store(std::ptr::null_mut(), Ordering::Relaxed);
            slot.is_reading.store(false, Ordering::Relaxed);
        }
    }
}

/// An event of one thread; dropping it removes it.
#[derive(Debug)]
pub(super) struct KernelEvent {
    file: OwnedFd,
}

impl KernelEvent {
    /// Makes an event that sends SIGPROF to thread `tid` once per `period` of its CPU time, from [`enable`] on.
    pub(super) fn open(tid: libc::pid_t, period: Duration, buffer: usize) -> io::Result<Self> {
        let attributes = Attributes {
            kind: PERF_TYPE_SOFTWARE,
            size: size_of::<Attributes>() as u32,
            config: PERF_COUNT_SW_TASK_CLOCK,
            sample_period: period.as_nanos() as u64,
            sample_type: PERF_SAMPLE_CALLCHAIN,
            flags: DISABLED | EXCLUDE_HV | EXCLUDE_CALLCHAIN_USER,
            wakeup_events: 1,
            ..Attributes::default()
        };
        // SAFETY: the attributes outlive the call.
        let made = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                tid,
                -1,
                -1,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        if made < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call returned a file descriptor, which nothing else owns.
        let file = unsafe { OwnedFd::from_raw_fd(made as libc::c_int) };
        let fd = file.as_raw_fd();
        let Some(slot) = SLOTS.get(fd as usize) else {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        };
        let bytes = ring_bytes();
        // SAFETY: a new mapping of the event's ring.
        let ring = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if ring == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        slot.period_nanos
            .store(attributes.sample_period, Ordering::Relaxed);
        slot.buffer.store(buffer as u32, Ordering::Relaxed);
        slot.is_enabled.store(false, Ordering::Relaxed);
        slot.ring.store(ring.cast(), Ordering::SeqCst);
        let event = Self { file };
        let owner = [F_OWNER_TID, tid];
        // SAFETY: the owner outlives the call.
        let sent = unsafe {
            [
                libc::fcntl(fd, F_SETSIG, libc::SIGPROF),
                libc::fcntl(fd, F_SETOWN_EX, &raw const owner),
                libc::fcntl(fd, libc::F_SETFL, libc::O_ASYNC),
            ]
        };
        if sent.contains(&-1) {
            return Err(io::Error::last_os_error());
        }
        Ok(event)
    }

    /// Sets from which CPU time of the thread on its periods are counted before the event is enabled. The timer that
    /// enables it fires late, at a tick of the kernel.
    pub(super) fn begin_at(&self, nanos: i64) {
        let slot = &SLOTS[self.number()];
        slot.begin_nanos.store(nanos, Ordering::Relaxed);
    }

    /// The number that identifies the event in a signal.
    pub(super) fn number(&self) -> usize {
        self.file.as_raw_fd() as usize
    }
}

impl Drop for KernelEvent {
    fn drop(&mut self) {
        let slot = &SLOTS[self.number()];
        // A forked child may hold a copy of the file, so closing it does not end the event.
        control(self.number(), PERF_EVENT_IOC_DISABLE);
        let ring = slot.ring.swap(std::ptr::null_mut(), Ordering::SeqCst);
        let bytes = ring_bytes();
        for _ in 0..YIELDS_MAX {
            if !slot.is_reading.load(Ordering::SeqCst) {
                // SAFETY: the ring was mapped by `open`. A handler that starts now finds no ring, and none is
                // reading this one.
                unsafe { libc::munmap(ring.cast(), bytes) };
                return;
            }
            std::thread::yield_now();
        }
        // The handler's thread has no processor. The two pages are leaked.
    }
}

/// Size of the mapping of a ring.
fn ring_bytes() -> usize {
    // SAFETY: reads a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    kernel_ring::PAGES * usize::try_from(page).unwrap_or(4096)
}

/// Safe in a signal handler.
fn control(number: usize, request: libc::c_ulong) {
    // SAFETY: the requests that are used take no argument.
    unsafe { libc::syscall(libc::SYS_ioctl, number, request, 0) };
}

/// What a signal of an event or of its timer stands for.
pub(super) struct Tick {
    slot: &'static Slot,
    pub(super) period_nanos: u64,
    pub(super) buffer: usize,
}

impl Tick {
    /// None if there is no such event, which happens to a late signal.
    #[inline]
    pub(super) fn of(number: usize) -> Option<Self> {
        let slot = SLOTS.get(number)?;
        let is_open = !slot.ring.load(Ordering::Relaxed).is_null();
        is_open.then(|| Self {
            slot,
            period_nanos: slot.period_nanos.load(Ordering::Relaxed),
            buffer: slot.buffer.load(Ordering::Relaxed) as usize,
        })
    }

    /// Enables the event, and returns the number of periods before that; 0 if it was enabled already. Called by the
    /// handler of the event's thread.
    pub(super) fn enable(&self, number: usize) -> u64 {
        if self.slot.is_enabled.swap(true, Ordering::Relaxed) {
            return 0;
        }
        control(number, PERF_EVENT_IOC_ENABLE);
        let begin = self.slot.begin_nanos.load(Ordering::Relaxed);
        let used = (clock::thread_cpu_nanos() as i64).saturating_sub(begin);
        used.max(0) as u64 / self.period_nanos.max(1)
    }

    /// Removes what the kernel has recorded: passes the frames of the last kernel stack to `push`, the leaf first, and
    /// returns the number of periods.
    #[inline]
    pub(super) fn read(&self, push: impl FnMut(u64) -> bool) -> u64 {
        // SeqCst: either `drop` sees the flag, or the ring is null here.
        self.slot.is_reading.store(true, Ordering::SeqCst);
        let ring = self.slot.ring.load(Ordering::SeqCst);
        let periods = if ring.is_null() {
            0
        } else {
            // SAFETY: a ring of the kernel, which is not unmapped while `is_reading` is set.
            unsafe { kernel_ring::read(ring, push) }
        };
        self.slot.is_reading.store(false, Ordering::Release);
        periods
    }
}
