//! Walks the calling thread's stack, from a signal handler or an allocator hook.
//!
//! Frames are found by the unwind tables of their module and, if there are none, by frame pointers. Nearly
//! every frame has a rule of two offsets, which this module looks up and caches. On x86_64 only the few
//! frames whose tables hold expressions go through `framehop`; on aarch64 all do. Nothing here allocates
//! or locks during a walk.

mod arch;
mod eh_frame;
mod index;
mod reader;
mod registers;
mod rule;
mod rule_cache;

pub(crate) use registers::Registers;

use crate::loader;
use crate::modules::Module;
use crate::thread::StackReader;
use arch::{ArchCache, ArchUnwinder};
use framehop::{
    ExplicitModuleSectionInfo, FrameAddress, MustNotAllocateDuringUnwind, Unwinder as _,
};
use index::Index;
use rule::Step;
use rule_cache::RuleCache;
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

type Framehop = ArchUnwinder<&'static [u8], MustNotAllocateDuringUnwind>;

/// The unwind tables of all modules.
struct Tables {
    index: Index,
    framehop: Framehop,
}

/// Unwind rules that were looked up before. Each thread that unwinds needs its own.
pub(crate) struct Cache {
    rules: RuleCache,
    framehop: ArchCache<MustNotAllocateDuringUnwind>,
}

/// The code of the functions that contain these addresses, as far as unwind tables have it.
#[cfg(feature = "jemalloc")]
pub(crate) fn functions(addresses: &[u64]) -> Vec<std::ops::Range<u64>> {
    let index = Index::new(&loader::list());
    let functions = addresses
        .iter()
        .filter_map(|address| index.function(*address));
    functions.collect()
}

/// The code of the function that contains an address, as far as the unwind tables of its module have it. On aarch64,
/// they are not read.
pub(crate) fn function_of(module: &Module, address: u64) -> Option<std::ops::Range<u64>> {
    index::table(module)?.function(address)
}

/// An empty cache.
pub(crate) fn new_cache() -> Cache {
    Cache {
        rules: RuleCache::new(),
        framehop: ArchCache::new_in(),
    }
}

/// Threads that can unwind by tables concurrently outside of the signal handler. Any more follow frame
/// pointers.
const POOLED: usize = 16;

static POOL: OnceLock<Box<[Pooled]>> = OnceLock::new();

struct Pooled {
    is_busy: AtomicBool,
    cache: UnsafeCell<Cache>,
}

// SAFETY: the cache is only touched by the thread that holds `is_busy`.
unsafe impl Sync for Pooled {}
// SAFETY: a cache is memory of rules and rows, not tied to any thread.
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

/// Runs `work` with a cache, if one is free. Neither waits nor allocates.
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

/// The tables of all modules. Never changed in place: a new value replaces the old one, which is leaked
/// because a handler may still be reading it.
static TABLES: AtomicPtr<Tables> = AtomicPtr::new(std::ptr::null_mut());

/// Makes the unwind tables of these modules available to walks that start from now on.
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
            text: Some(loader::bytes(&module.text)),
            eh_frame_svma: Some(in_file(frame)),
            eh_frame: Some(loader::bytes(frame)),
            eh_frame_hdr_svma: Some(in_file(header)),
            eh_frame_hdr: Some(loader::bytes(header)),
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

/// Passes every frame to `push`, from the leaf to the root, until `push` returns `false`.
///
/// A frame is an address to look up: of the instruction at the leaf and, for each caller, of its call
/// instruction (one byte before the return address). Without a cache only frame pointers are followed.
#[inline]
pub(crate) fn walk(start: Registers, cache: Option<&mut Cache>, push: impl FnMut(u64) -> bool) {
    walk_in(start, StackReader::new(start.sp), cache, push);
}

/// Like [`walk`], but stops at frames above the address `below` of the stack.
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
    cache.rules.use_index(&tables.index);
    while push(address) {
        let before = frame;
        let rule = cache.rules.rule(address, &tables.index);
        let step = match rule.step(is_leaf, &mut frame, stack) {
            // Evaluating an expression needs more stack than is left.
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

/// One step by a table that is not a rule of two offsets. Never inlined, because it takes 22 KiB of stack.
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

/// Goes to the caller by the frame pointer, and returns its return address.
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
