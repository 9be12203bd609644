//! The system call that a CPU sample was taken in.
//!
//! A signal that is raised while a thread is in the kernel is delivered when the thread returns to its own code, so the
//! leaf of such a sample is the address after a system call's instruction. If the kernel restarts the call, it is the
//! address of that instruction. Which call it was is read from the code of the function, while a profile is
//! assembled; the signal handler takes no part in this.

mod aarch64;
mod cursor;
mod instruction;
mod numbers;
mod registers;
mod value;
mod x86_64;

use crate::modules::{self, Module};
use crate::{loader, unwind};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use value::Value;
use x86_64::{Call, CallTarget};

/// Maximum number of system calls and of calls whose analysis is kept. A program has a few hundred.
const SITES_MAX: usize = 4_096;
/// Maximum number of callers that are searched for the number of a system call that is an argument.
const CALLERS_MAX: usize = 4;
/// Maximum number of jumps between a call and the function that it reaches.
const JUMPS_MAX: usize = 3;
/// Number of bytes of a stub of the procedure linkage table.
const STUB_BYTES: u64 = 16;

/// The instruction that enters the kernel.
const INSTRUCTION: &[u8] = if cfg!(target_arch = "aarch64") {
    &[0x01, 0x00, 0x00, 0xd4]
} else {
    &[0x0f, 0x05]
};

/// The system calls of this process that samples were taken in.
#[derive(Default)]
pub(crate) struct SystemCalls {
    sites: Mutex<Sites>,
}

/// The return address of a call, the function that the call reaches, and the index of an argument.
type Passing = (u64, u64, u8);

#[derive(Default)]
struct Sites {
    /// The number of the system call at an address, and the start of its function; `None` if another instruction
    /// is there.
    system_calls: FxHashMap<u64, Option<(Value, u64)>>,
    /// The value that a caller passes, and the start of the function of the caller.
    passed: FxHashMap<Passing, Option<(Value, u64)>>,
}

impl SystemCalls {
    /// The name of the system call that a stack ends in, given the stack's addresses from the leaf to the root. Empty if
    /// the number is unknown; `None` if the stack does not end in the kernel.
    pub(crate) fn of_stack(
        &self,
        modules: &[Module],
        leaf_to_root: impl IntoIterator<Item = u64>,
    ) -> Option<&'static str> {
        let mut frames = leaf_to_root.into_iter();
        let begin = instruction_of(modules, frames.next()?)?;
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, function) = sites.system_call(modules, begin)?;
        let number = sites.number(modules, value, function, frames);
        Some(number.and_then(numbers::name).unwrap_or_default())
    }
}

impl Sites {
    fn system_call(&mut self, modules: &[Module], begin: u64) -> Option<(Value, u64)> {
        make_room(&mut self.system_calls);
        *self.system_calls.entry(begin).or_insert_with(|| {
            let code = Code::of(modules, begin)?;
            let at = (begin - code.start) as usize;
            let value = if cfg!(target_arch = "aarch64") {
                aarch64::system_call(code.bytes, at)?
            } else if code.is_function {
                x86_64::system_call(code.bytes, at)?
            } else {
                Value::Unknown
            };
            Some((value, code.start))
        })
    }

    /// The number for which a value in the function at `callee` stands. An argument is resolved in the callers.
    fn number(
        &mut self,
        modules: &[Module],
        mut value: Value,
        mut callee: u64,
        callers: impl Iterator<Item = u64>,
    ) -> Option<u32> {
        let mut callers = callers.take(CALLERS_MAX);
        loop {
            let argument = match value {
                Value::Constant(number) => return Some(number),
                Value::Unknown => return None,
                Value::Argument(index) => index,
            };
            // The return address is one past the address of a caller, which is the last byte of its call.
            let returns_to = callers.next()?.checked_add(1)?;
            (value, callee) = self.passed(modules, (returns_to, callee, argument))?;
        }
    }

    /// The value that a caller passes, and the start of the function of the caller.
    fn passed(&mut self, modules: &[Module], passing: Passing) -> Option<(Value, u64)> {
        if cfg!(not(target_arch = "x86_64")) {
            return None;
        }
        make_room(&mut self.passed);
        *self.passed.entry(passing).or_insert_with(|| {
            let (returns_to, callee, argument) = passing;
            let code = Code::of(modules, returns_to - 1).filter(|code| code.is_function)?;
            let at = (returns_to - code.start) as usize;
            let call = x86_64::call(code.bytes, code.start, at)?;
            let value = value_at(modules, &call, callee, argument, JUMPS_MAX)?;
            Some((value, code.start))
        })
    }
}

/// An argument of the function at `callee`, expressed by the arguments of the caller. The call may reach `callee`
/// directly or through functions that end in a jump to it. `None` if the call may lead elsewhere.
fn value_at(
    modules: &[Module],
    call: &Call,
    callee: u64,
    argument: u8,
    jumps: usize,
) -> Option<Value> {
    let target = destination(modules, call.target)?;
    if target == callee {
        return call.arguments.get(usize::from(argument)).copied();
    }
    let code = Code::of(modules, target).filter(|code| code.is_function && code.start == target)?;
    let left = jumps.checked_sub(1)?;
    let mut found = None;
    for jump in x86_64::jumps_out(code.bytes, target)? {
        let value = match value_at(modules, &jump, callee, argument, left)? {
            Value::Argument(index) => *call.arguments.get(usize::from(index))?,
            value => value,
        };
        if found.is_some_and(|found| found != value) {
            return None;
        }
        found = Some(value);
    }
    found
}

/// Clears a cache that is full.
fn make_room<K, T>(known: &mut FxHashMap<K, T>) {
    if known.len() >= SITES_MAX {
        known.clear();
    }
}

/// Code that stays mapped and is readable.
struct Code {
    start: u64,
    bytes: &'static [u8],
    /// Whether it is the code of one function, not of a whole module.
    is_function: bool,
}

impl Code {
    /// The function at an address or, if that is not known, the code of its module.
    fn of(modules: &[Module], address: u64) -> Option<Self> {
        let module = &modules[modules::containing(modules, address)?];
        let function = unwind::function_of(module, address);
        let is_function = function.is_some();
        let range = function.unwrap_or_else(|| module.text.clone());
        let is_inside = module.text.start <= range.start && range.end <= module.text.end;
        let bytes = loader::readable(module, &range).filter(|_| is_inside)?;
        Some(Self {
            start: range.start,
            bytes,
            is_function,
        })
    }
}

/// The address of the system call instruction that ends at the leaf or starts there.
fn instruction_of(modules: &[Module], leaf: u64) -> Option<u64> {
    let module = &modules[modules::containing(modules, leaf)?];
    let length = INSTRUCTION.len() as u64;
    let candidates = [leaf.checked_sub(length), Some(leaf)];
    candidates.into_iter().flatten().find(|begin| {
        let range = *begin..begin.saturating_add(length);
        is_inside(&range, &module.text) && loader::readable(module, &range) == Some(INSTRUCTION)
    })
}

fn is_inside(range: &Range<u64>, outer: &Range<u64>) -> bool {
    outer.start <= range.start && range.end <= outer.end
}

/// The function that a call goes to, directly or through a stub of the procedure linkage table.
fn destination(modules: &[Module], target: CallTarget) -> Option<u64> {
    let word = |slot: u64| {
        let module = &modules[modules::containing(modules, slot)?];
        loader::readable_word(module, slot)
    };
    match target {
        CallTarget::Direct(target) => {
            let module = &modules[modules::containing(modules, target)?];
            let code = loader::readable(module, &(target..target.checked_add(STUB_BYTES)?))?;
            x86_64::stub_slot(code, target).map_or(Some(target), word)
        }
        CallTarget::Slot(slot) => word(slot),
        CallTarget::Unknown => None,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
