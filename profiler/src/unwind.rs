//! Walking the calling thread's stack from a signal handler or an allocator hook.
//!
//! By the unwind tables of each module; where a frame has none, by its frame pointer. Nearly every
//! frame has a rule of two offsets, which is found and kept here; the few whose tables hold whole
//! expressions go through `framehop`. Allocates nothing, locks nothing.

mod rules;
#[cfg(target_arch = "x86_64")]
mod table;

mod registers;

pub(crate) use registers::Registers;

use crate::modules::{self, Module};
use crate::thread::StackReader;
use framehop::{
    ExplicitModuleSectionInfo, FrameAddress, MustNotAllocateDuringUnwind, Unwinder as _,
};
use rules::{Index, Rules, Step};
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

type Framehop = ArchUnwinder<&'static [u8], MustNotAllocateDuringUnwind>;

/// The unwind tables of all modules.
struct Tables {
    index: Index,
    framehop: Framehop,
}

/// Unwind rules that were worked out before; one for each thread that may unwind.
pub(crate) struct Cache {
    rules: Rules,
    framehop: ArchCache<MustNotAllocateDuringUnwind>,
}

/// An empty cache.
pub(crate) fn new_cache() -> Cache {
    Cache {
        rules: Rules::new(),
        framehop: ArchCache::new_in(),
    }
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
    let mut framehop = Framehop::new();
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
        framehop.add_module(framehop::Module::new(
            module.name.clone(),
            module.range.clone(),
            module.bias,
            sections,
        ));
    }
    let index = Index::new(modules);
    let tables = Box::new(Tables { index, framehop });
    TABLES.store(Box::into_raw(tables), Ordering::Release);
}

/// Gives every frame to `push`, from the leaf to the root, until `push` answers `false`.
///
/// A frame is the address to look up: of the instruction at the leaf, and within the call
/// instruction (one byte before the return address) in its callers. Without a cache only frame
/// pointers are followed.
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
        (Some(tables), Some(cache)) => by_tables(start, tables, cache, &mut stack, push),
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
    let (mut frame, mut address, mut is_leaf) = (start, start.pc, true);
    cache.rules.belong_to(&tables.index);
    while push(address) {
        let before = frame;
        let rule = cache.rules.of(address, &tables.index);
        let step = match rule.step(is_leaf, &mut frame, stack) {
            // The evaluation of an expression needs a stack that is not nearly used up.
            Step::Complex if stack.is_tight() => Step::Failed,
            Step::Complex => by_framehop(tables, cache, is_leaf, &mut frame, stack),
            step => step,
        };
        let caller = match step {
            Step::Caller(caller) => caller,
            Step::Root | Step::Complex => return,
            Step::Failed => {
                frame = before;
                let Some(caller) = frame_pointer_step(&mut frame, stack) else {
                    return;
                };
                caller
            }
        };
        if caller < 4_096 || frame.sp < before.sp {
            return;
        }
        (address, is_leaf) = (caller - 1, false);
    }
}

/// One step by tables that take more than two offsets. Never inlined: it takes 22 KiB of stack.
#[inline(never)]
fn by_framehop(
    tables: &Tables,
    cache: &mut Cache,
    is_leaf: bool,
    frame: &mut Registers,
    stack: &mut StackReader,
) -> Step {
    let address = if is_leaf {
        Some(FrameAddress::from_instruction_pointer(frame.pc))
    } else {
        FrameAddress::from_return_address(frame.pc)
    };
    let Some(address) = address else {
        return Step::Failed;
    };
    let mut registers = frame.to_arch();
    let mut read = |at| stack.read(at);
    let caches = &mut cache.framehop;
    let stepped = tables
        .framehop
        .unwind_frame(address, &mut registers, caches, &mut read);
    match stepped {
        Ok(Some(caller)) => {
            frame.set_arch(&registers);
            frame.pc = caller;
            Step::Caller(caller)
        }
        Ok(None) => Step::Root,
        Err(_) => Step::Failed,
    }
}

fn by_frame_pointers(start: Registers, stack: &mut StackReader, mut push: impl FnMut(u64) -> bool) {
    let mut frame = start;
    let mut more = push(start.pc);
    while more {
        let Some(caller) = frame_pointer_step(&mut frame, stack) else {
            return;
        };
        more = caller >= 4_096 && push(caller - 1);
    }
}

/// Goes to the caller that the frame pointer leads to; answers its return address.
fn frame_pointer_step(frame: &mut Registers, stack: &mut StackReader) -> Option<u64> {
    if frame.fp < frame.sp {
        return None;
    }
    let (next, caller) = (
        stack.read(frame.fp).ok()?,
        stack.read(frame.fp.checked_add(8)?).ok()?,
    );
    (frame.sp, frame.fp, frame.pc) = (frame.fp + 16, next, caller);
    #[cfg(target_arch = "aarch64")]
    {
        frame.lr = caller;
    }
    Some(caller)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
