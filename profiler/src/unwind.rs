//! Walking the calling thread's stack from a signal handler or an allocator hook.
//!
//! By the unwind tables of each module, through `framehop`; where a frame has none, by its frame
//! pointer. Allocates nothing, locks nothing.

use crate::modules::{self, Module};
use crate::thread::StackReader;
use framehop::{
    ExplicitModuleSectionInfo, FrameAddress, MustNotAllocateDuringUnwind, Unwinder as _,
};
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{
    CacheAarch64 as ArchCache, UnwindRegsAarch64 as ArchRegisters, UnwinderAarch64 as ArchUnwinder,
};
#[cfg(target_arch = "x86_64")]
use framehop::x86_64::{
    CacheX86_64 as ArchCache, UnwindRegsX86_64 as ArchRegisters, UnwinderX86_64 as ArchUnwinder,
};

type Tables = ArchUnwinder<&'static [u8], MustNotAllocateDuringUnwind>;

/// Unwind rules that were worked out before; one for each thread that may unwind.
pub(crate) type Cache = ArchCache<MustNotAllocateDuringUnwind>;

/// An empty cache.
pub(crate) fn new_cache() -> Cache {
    Cache::new_in()
}

/// Threads that may unwind by tables at once outside of the signal handler; the others follow
/// frame pointers.
const POOLED: usize = 16;

static POOL: OnceLock<Box<[Pooled]>> = OnceLock::new();

struct Pooled {
    is_busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

// SAFETY: the cache is only touched by the thread that holds `is_busy`.
unsafe impl Sync for Pooled {}
// SAFETY: a cache is memory of rules and rows; it belongs to no thread.
unsafe impl Send for Pooled {}

/// Makes the caches that [`with_cache`] lends.
pub(crate) fn fill_pool() {
    POOL.get_or_init(|| {
        let pooled = || Pooled {
            is_busy: AtomicBool::new(false),
            cache: UnsafeCell::new(new_cache()),
        };
        (0..POOLED).map(|_| pooled()).collect()
    });
}

/// Lends a cache, if one is free. Waits for nothing and allocates nothing.
pub(crate) fn with_cache(work: impl FnOnce(Option<&mut Cache>)) {
    let pool = POOL.get().map_or(&[][..], |pool| pool);
    let free = pool
        .iter()
        .find(|pooled| !pooled.is_busy.swap(true, Ordering::Acquire));
    match free {
        Some(pooled) => {
            // SAFETY: `is_busy` is held.
            work(Some(unsafe { &mut *pooled.cache.get() }));
            pooled.is_busy.store(false, Ordering::Release);
        }
        None => work(None),
    }
}

/// The tables of all modules. Never changed in place: a new list replaces the old, which stays in
/// memory because a handler may still be reading it.
static TABLES: AtomicPtr<Tables> = AtomicPtr::new(std::ptr::null_mut());

/// Makes these modules known to all walks that begin from now on.
pub(crate) fn publish(modules: &[Module]) {
    let mut tables = Tables::new();
    for module in modules {
        let Some((header, frame)) = &module.unwind else {
            continue;
        };
        let in_file = |range: &std::ops::Range<u64>| {
            range.start.wrapping_sub(module.bias)..range.end.wrapping_sub(module.bias)
        };
        let sections = ExplicitModuleSectionInfo {
            base_svma: 0,
            text_svma: Some(in_file(&module.text)),
            text: Some(modules::bytes(&module.text)),
            eh_frame_svma: Some(in_file(frame)),
            eh_frame: Some(modules::bytes(frame)),
            eh_frame_hdr_svma: Some(in_file(header)),
            eh_frame_hdr: Some(modules::bytes(header)),
            ..ExplicitModuleSectionInfo::default()
        };
        tables.add_module(framehop::Module::new(
            module.name.clone(),
            module.range.clone(),
            module.bias,
            sections,
        ));
    }
    TABLES.store(Box::into_raw(Box::new(tables)), Ordering::Release);
}

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    #[cfg(target_arch = "aarch64")]
    pub(crate) lr: u64,
}

impl Registers {
    /// Of the code that a signal interrupted.
    ///
    /// # Safety
    /// `context` is what the kernel gave to a handler with `SA_SIGINFO`.
    pub(crate) unsafe fn of_signal(context: *const libc::c_void) -> Self {
        // SAFETY: as the caller promises.
        let context = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        {
            let register = |name: libc::c_int| context.gregs[name as usize] as u64;
            Self {
                pc: register(libc::REG_RIP),
                sp: register(libc::REG_RSP),
                fp: register(libc::REG_RBP),
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            Self {
                pc: context.pc,
                sp: context.sp,
                fp: context.regs[29],
                lr: context.regs[30],
            }
        }
    }

    /// Of the function that this is inlined into.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would read its own frame")]
    pub(crate) fn here() -> Self {
        let (pc, sp, fp): (u64, u64, u64);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads three registers and changes nothing.
        unsafe {
            std::arch::asm!(
                "lea {pc}, [rip]", "mov {sp}, rsp", "mov {fp}, rbp",
                pc = out(reg) pc, sp = out(reg) sp, fp = out(reg) fp,
                options(nomem, nostack, preserves_flags)
            );
        }
        #[cfg(target_arch = "x86_64")]
        return Self { pc, sp, fp };
        #[cfg(target_arch = "aarch64")]
        {
            let lr: u64;
            // SAFETY: reads four registers and changes nothing.
            unsafe {
                std::arch::asm!(
                    "adr {pc}, .", "mov {sp}, sp", "mov {fp}, x29", "mov {lr}, x30",
                    pc = out(reg) pc, sp = out(reg) sp, fp = out(reg) fp, lr = out(reg) lr,
                    options(nomem, nostack, preserves_flags)
                );
            }
            Self { pc, sp, fp, lr }
        }
    }

    fn arch(self) -> ArchRegisters {
        #[cfg(target_arch = "x86_64")]
        return ArchRegisters::new(self.pc, self.sp, self.fp);
        #[cfg(target_arch = "aarch64")]
        return ArchRegisters::new(self.lr, self.sp, self.fp);
    }
}

/// Gives every frame to `push`, from the leaf to the root, until `push` answers `false`.
///
/// A frame is the address to look up: of the instruction at the leaf, and within the call
/// instruction (one byte before the return address) in its callers. Without a cache, or with
/// little stack left, only frame pointers are followed.
#[inline]
pub(crate) fn walk(start: Registers, cache: Option<&mut Cache>, push: impl FnMut(u64) -> bool) {
    walk_in(start, StackReader::new(start.sp), cache, push);
}

/// As [`walk`], but of the frames only that lie below an address of this stack.
#[inline]
pub(crate) fn walk_below(
    below: usize,
    start: Registers,
    cache: Option<&mut Cache>,
    push: impl FnMut(u64) -> bool,
) {
    walk_in(start, StackReader::up_to(start.sp, below), cache, push);
}

#[inline]
fn walk_in(
    start: Registers,
    mut stack: StackReader,
    cache: Option<&mut Cache>,
    push: impl FnMut(u64) -> bool,
) {
    // SAFETY: null, or a table that `publish` leaked.
    let tables = unsafe { TABLES.load(Ordering::Acquire).as_ref() };
    match (tables, cache) {
        (Some(tables), Some(cache)) if !stack.is_tight() => {
            by_tables(start, tables, cache, &mut stack, push);
        }
        _ => by_frame_pointers(start, &mut stack, push),
    }
}

fn by_tables(
    start: Registers,
    tables: &Tables,
    cache: &mut Cache,
    stack: &mut StackReader,
    mut push: impl FnMut(u64) -> bool,
) {
    let mut registers = start.arch();
    let mut address = FrameAddress::from_instruction_pointer(start.pc);
    if !push(start.pc) {
        return;
    }
    loop {
        let (sp, fp) = (registers.sp(), frame_pointer(&registers));
        let mut read = |at| stack.read(at);
        let caller = match tables.unwind_frame(address, &mut registers, cache, &mut read) {
            Ok(Some(caller)) => caller,
            Ok(None) => return,
            Err(_) => {
                let Some((caller, next)) = frame_pointer_step(sp, fp, stack) else {
                    return;
                };
                registers = next;
                caller
            }
        };
        let Some(next) = FrameAddress::from_return_address(caller) else {
            return;
        };
        if caller < 4_096 || registers.sp() < sp || !push(caller - 1) {
            return;
        }
        address = next;
    }
}

fn by_frame_pointers(start: Registers, stack: &mut StackReader, mut push: impl FnMut(u64) -> bool) {
    let (mut sp, mut fp) = (start.sp, start.fp);
    let mut more = push(start.pc);
    while more {
        let Some((caller, next)) = frame_pointer_step(sp, fp, stack) else {
            return;
        };
        (sp, fp) = (next.sp(), frame_pointer(&next));
        more = caller >= 4_096 && push(caller - 1);
    }
}

/// The return address that the frame pointer leads to, and the registers of the caller.
fn frame_pointer_step(sp: u64, fp: u64, stack: &mut StackReader) -> Option<(u64, ArchRegisters)> {
    if fp < sp {
        return None;
    }
    let (next, caller) = (stack.read(fp).ok()?, stack.read(fp + 8).ok()?);
    #[cfg(target_arch = "x86_64")]
    let registers = ArchRegisters::new(caller, fp + 16, next);
    #[cfg(target_arch = "aarch64")]
    let registers = ArchRegisters::new(caller, fp + 16, next);
    Some((caller, registers))
}

fn frame_pointer(registers: &ArchRegisters) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return registers.bp();
    #[cfg(target_arch = "aarch64")]
    return registers.fp();
}
