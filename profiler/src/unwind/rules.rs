//! Rules of two offsets: where the caller's frame lies, and where it left its frame pointer.

use super::Registers;
use crate::modules::{self, Module};
use crate::thread::StackReader;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The return address into the caller.
    Caller(u64),
    /// There is no caller.
    Root,
    /// The stack does not hold what the rule says.
    Failed,
    /// The frame has no simple rule.
    Complex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "every frame goes through framehop")
)]
pub(super) enum Base {
    /// There is no rule of this kind.
    Complex,
    /// Of the root, which has no caller.
    Root,
    StackPointer,
    FramePointer,
}

/// How to come from a frame to its caller's: the return address is the word below the caller's
/// frame, as on every x86_64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) base: Base,
    /// Where the caller's frame pointer is kept, from the caller's frame; 0 where it is untouched.
    pub(super) frame_pointer: i16,
    /// Where the caller's frame begins, from the base.
    pub(super) offset: i32,
}

impl Rule {
    pub(super) const COMPLEX: Self = Self::without_offsets(Base::Complex);
    #[cfg(target_arch = "x86_64")]
    pub(super) const ROOT: Self = Self::without_offsets(Base::Root);

    const fn without_offsets(base: Base) -> Self {
        Self {
            base,
            frame_pointer: 0,
            offset: 0,
        }
    }

    /// Goes from a frame to its caller's.
    #[inline]
    pub(super) fn step(
        self,
        is_leaf: bool,
        frame: &mut Registers,
        stack: &mut StackReader,
    ) -> Step {
        let base = match self.base {
            Base::StackPointer => frame.sp,
            Base::FramePointer => frame.fp,
            Base::Root => return Step::Root,
            Base::Complex => return Step::Complex,
        };
        let sp = base.wrapping_add_signed(i64::from(self.offset));
        if sp <= frame.sp {
            return Step::Failed;
        }
        if self.frame_pointer != 0 {
            let at = sp.wrapping_add_signed(i64::from(self.frame_pointer));
            match stack.read(at) {
                Ok(fp) => frame.fp = fp,
                // An epilogue has taken it back already, which not every table says.
                Err(()) if is_leaf && at < frame.sp => {}
                Err(()) => return Step::Failed,
            }
        }
        let Ok(caller) = stack.read(sp - 8) else {
            return Step::Failed;
        };
        if caller == 0 {
            return Step::Root;
        }
        (frame.pc, frame.sp) = (caller, sp);
        Step::Caller(caller)
    }
}

const WAYS: usize = 4;
const SETS: usize = 256;

/// One line of the processor's cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set {
    addresses: [u64; WAYS],
    rules: [Rule; WAYS],
}

/// Rules that were found before, in 16 KiB. In sets of four, since with one place for each address
/// two frames of one hot stack may drive each other out for ever.
pub(super) struct Rules {
    generation: u64,
    sets: Box<[Set; SETS]>,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            sets: Box::new([Set::EMPTY; SETS]),
        }
    }

    /// Forgets all rules that were of other modules.
    #[inline]
    pub(super) fn belong_to(&mut self, index: &Index) {
        if self.generation != index.generation {
            self.forget(index.generation);
        }
    }

    #[cold]
    fn forget(&mut self, generation: u64) {
        for set in self.sets.iter_mut() {
            *set = Set::EMPTY;
        }
        self.generation = generation;
    }

    /// The rule of an address.
    #[inline]
    pub(super) fn of(&mut self, address: u64, index: &Index) -> Rule {
        // Fibonacci hashing: the upper bits of the product depend on all of the address.
        let set = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SETS;
        let set = &mut self.sets[set];
        let found = set.addresses.iter().position(|known| *known == address);
        match found {
            Some(way) => set.rules[way],
            None => set.add(address, index),
        }
    }
}

impl Set {
    /// No code lies at 0.
    const EMPTY: Self = Self {
        addresses: [0; WAYS],
        rules: [Rule::COMPLEX; WAYS],
    };

    /// Finds the rule; the oldest of the set makes room.
    #[cold]
    fn add(&mut self, address: u64, index: &Index) -> Rule {
        let rule = index.rule(address);
        self.addresses.copy_within(..WAYS - 1, 1);
        self.rules.copy_within(..WAYS - 1, 1);
        (self.addresses[0], self.rules[0]) = (address, rule);
        rule
    }
}

/// The unwind tables of all modules, by address.
pub(super) struct Index {
    generation: u64,
    tables: Vec<Table>,
}

/// The unwind tables of one module.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "every frame goes through framehop")
)]
pub(super) struct Table {
    pub(super) range: Range<u64>,
    pub(super) header: (u64, &'static [u8]),
    pub(super) frames: (u64, &'static [u8]),
}

impl Index {
    /// Of modules that are sorted by address.
    pub(super) fn new(modules: &[Module]) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let table = |module: &Module| {
            let (header, frames) = module.unwind.as_ref()?;
            Some(Table {
                range: module.range.clone(),
                header: (header.start, modules::bytes(header)),
                frames: (frames.start, modules::bytes(frames)),
            })
        };
        Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed) + 1,
            tables: modules.iter().filter_map(table).collect(),
        }
    }

    /// The rule of an address, read from its module's tables.
    pub(super) fn rule(&self, address: u64) -> Rule {
        let after = self
            .tables
            .partition_point(|table| table.range.start <= address);
        let table = after.checked_sub(1).and_then(|at| self.tables.get(at));
        match table {
            Some(table) if table.range.contains(&address) => table.rule(address),
            _ => Rule::COMPLEX,
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Table {
    #[expect(clippy::unused_self, reason = "as where there are such rules")]
    fn rule(&self, _address: u64) -> Rule {
        Rule::COMPLEX
    }
}
