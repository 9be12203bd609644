//! Finds the number of a system call in the code of a function.
//!
//! The code is decoded from the start of its function, so that an instruction is never taken for a part of another one.
//! The values of registers are followed along every direct jump until nothing changes, so a number is only known if it
//! is the same on every path. Nothing is known where no such path leads. In a function with indirect jumps, only
//! the preceding instruction counts.

use super::instruction::{self, Effect, Target};
use super::registers::{R8, R9, R11, RAX, RCX, RDI, RDX, RSI, Registers};
use super::value::Value;
use rustc_hash::{FxHashMap, FxHashSet};

/// Functions with more bytes of code are not analyzed.
const BYTES_MAX: usize = 1 << 16;
/// Maximum number of passes over the code of a function.
const PASSES_MAX: usize = 16;
/// Maximum number of tail calls of a function that are followed.
const JUMPS_MAX: usize = 8;
/// Registers that hold the arguments of a function, in their order.
const ARGUMENTS: [u8; 6] = [RDI, RSI, RDX, RCX, R8, R9];
/// Registers that `syscall` writes: the result, and two that the kernel uses.
const SYSTEM_CALL_WRITES: Registers = 1 << RAX | 1 << RCX | 1 << R11;

/// Registers that a called function may write: all but `rbx`, `rbp`, `rsp` and `r12` to `r15` (System V ABI for AMD64,
/// section 3.2.1).
const CALL_WRITES: Registers = !(1 << 3 | 1 << 4 | 1 << 5 | 0xf << 12);

/// A call of another function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) target: CallTarget,
    /// The integer arguments.
    pub(super) arguments: [Value; 6],
}

/// Where a call goes: an address, or the address in a word at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallTarget {
    Direct(u64),
    Slot(u64),
    Unknown,
}

/// The number of the system call at an offset of a function. `None` if none starts there.
pub(super) fn system_call(code: &[u8], at: usize) -> Option<Value> {
    let (effect, registers) = Function::new(code)?.at(at)?;
    (effect == Effect::SystemCall).then(|| registers.0[usize::from(RAX)].number())
}

/// The call that returns to offset `at` of a function that starts at address `start`.
pub(super) fn call(code: &[u8], start: u64, at: usize) -> Option<Call> {
    let function = Function::new(code)?;
    let (effect, state) = function.at(function.before(at)?)?;
    match effect {
        Effect::Call(target) => Some(Call::new(target, &state, start, at)),
        _ => None,
    }
}

/// The tail calls of a function that starts at address `start`: jumps to other functions. `None` if the target of one
/// is unknown or there are too many.
pub(super) fn jumps_out(code: &[u8], start: u64) -> Option<Vec<Call>> {
    let function = Function::new(code)?;
    let mut jumps = Vec::new();
    for (begin, end, effect) in &function.instructions {
        let target = match effect {
            Effect::Jump(target) => *target,
            Effect::Branch(offset) => Target::Direct(*offset),
            _ => continue,
        };
        if jump_target(*end, *effect).is_some_and(|to| to < code.len()) {
            continue;
        }
        if jumps.len() == JUMPS_MAX {
            return None;
        }
        let (_, state) = function.at(*begin)?;
        let jump = Call::new(target, &state, start, *end);
        if jump.target == CallTarget::Unknown {
            return None;
        }
        jumps.push(jump);
    }
    Some(jumps)
}

impl Call {
    /// The call by an instruction that ends at offset `end` of a function that starts at address `start`.
    fn new(target: Target, state: &State, start: u64, end: usize) -> Self {
        let absolute = |offset: i64| (start + end as u64).wrapping_add_signed(offset);
        let target = match target {
            Target::Direct(offset) => CallTarget::Direct(absolute(offset)),
            Target::Slot(offset) => CallTarget::Slot(absolute(offset)),
            Target::Register(register) => match state.0[usize::from(register)] {
                Known::Slot(offset) => CallTarget::Slot(start.wrapping_add_signed(offset.into())),
                _ => CallTarget::Unknown,
            },
            Target::Unknown => CallTarget::Unknown,
        };
        let arguments = ARGUMENTS.map(|register| state.0[usize::from(register)].number());
        Self { target, arguments }
    }
}

/// The offsets of the instructions of a function.
#[cfg(test)]
pub(super) fn starts(code: &[u8]) -> Option<Vec<usize>> {
    let function = Function::new(code)?;
    Some(function.instructions.iter().map(|(at, ..)| *at).collect())
}

/// The address of the word through which a stub of the procedure linkage table at this address jumps. A stub is
/// `endbr64` and a `jmp` through a word.
pub(super) fn stub_slot(code: &[u8], address: u64) -> Option<u64> {
    let mut at = 0;
    for _ in 0..2 {
        let decoded = instruction::decode(code.get(at..)?)?;
        at += decoded.length;
        match decoded.effect {
            Effect::Jump(Target::Slot(offset)) => {
                return Some((address + at as u64).wrapping_add_signed(offset));
            }
            Effect::Nop | Effect::Writes(_) => {}
            _ => return None,
        }
    }
    None
}

/// The value of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Constant(u32),
    /// The argument of the function with this index.
    Argument(u8),
    /// The word at this offset from the start of the function.
    Slot(i32),
    Nothing,
}

impl Known {
    fn number(self) -> Value {
        match self {
            Self::Constant(number) => Value::Constant(number),
            Self::Argument(index) => Value::Argument(index),
            Self::Slot(_) | Self::Nothing => Value::Unknown,
        }
    }
}

/// The values of the general registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State([Known; 16]);

impl State {
    const NOTHING: Self = Self([Known::Nothing; 16]);

    fn at_entry() -> Self {
        let mut state = Self::NOTHING;
        for (index, register) in (0..).zip(ARGUMENTS) {
            state.set(register, Known::Argument(index));
        }
        state
    }

    fn set(&mut self, register: u8, known: Known) {
        self.0[usize::from(register)] = known;
    }

    fn forget(&mut self, registers: Registers) {
        for (register, known) in self.0.iter_mut().enumerate() {
            if registers & 1 << register != 0 {
                *known = Known::Nothing;
            }
        }
    }

    /// Keeps the values that are the same on both paths.
    fn join(&mut self, other: &Self) {
        for (known, other) in self.0.iter_mut().zip(other.0) {
            if *known != other {
                *known = Known::Nothing;
            }
        }
    }

    /// The state after an instruction that ends at this offset.
    fn apply(&mut self, effect: Effect, end: i64) {
        match effect {
            Effect::Writes(registers) => self.forget(registers),
            Effect::Constant { to, value } => self.set(to, Known::Constant(value)),
            Effect::Copy { to, from } => self.set(to, self.0[usize::from(from)]),
            Effect::Load { to, offset } => {
                let slot = i32::try_from(end + offset);
                self.set(to, slot.map_or(Known::Nothing, Known::Slot));
            }
            Effect::SystemCall => self.forget(SYSTEM_CALL_WRITES),
            Effect::Call(_) => self.forget(CALL_WRITES),
            Effect::Nop | Effect::Jump(_) | Effect::Branch(_) | Effect::End => {}
        }
    }
}

/// The instructions of a function.
struct Function {
    /// Offset of the start and of the end of each, and its effect.
    instructions: Vec<(usize, usize, Effect)>,
    /// Whether a jump has an unknown target.
    has_indirect_jump: bool,
}

impl Function {
    /// `None` if any instruction is unknown.
    fn new(code: &[u8]) -> Option<Self> {
        if code.len() > BYTES_MAX {
            return None;
        }
        let (mut instructions, mut at) = (Vec::new(), 0);
        let mut has_indirect_jump = false;
        while at < code.len() {
            let decoded = instruction::decode(&code[at..])?;
            let end = at + decoded.length;
            has_indirect_jump |= matches!(
                decoded.effect,
                Effect::Jump(Target::Register(_) | Target::Unknown)
            );
            instructions.push((at, end, decoded.effect));
            at = end;
        }
        Some(Self {
            instructions,
            has_indirect_jump,
        })
    }

    /// The start of the instruction that ends at this offset.
    fn before(&self, end: usize) -> Option<usize> {
        let found = self
            .instructions
            .binary_search_by_key(&end, |(_, end, _)| *end);
        found.ok().map(|index| self.instructions[index].0)
    }

    /// The instruction at an offset, and the values before it. `None` if no instruction starts there.
    fn at(&self, offset: usize) -> Option<(Effect, State)> {
        let index = self
            .instructions
            .binary_search_by_key(&offset, |(start, ..)| *start)
            .ok()?;
        let effect = self.instructions[index].2;
        if self.has_indirect_jump {
            return Some((effect, self.right_before(index)));
        }
        let mut entries: FxHashMap<usize, Option<State>> = self.targets();
        for _ in 0..PASSES_MAX {
            let (wanted, is_final) = self.pass(index, &mut entries);
            if is_final {
                return Some((effect, wanted.unwrap_or(State::NOTHING)));
            }
        }
        Some((effect, State::NOTHING))
    }

    /// The values that the preceding instruction alone determines. In a function with indirect jumps any other
    /// instruction may be their target.
    fn right_before(&self, index: usize) -> State {
        let mut state = State::NOTHING;
        let before = index.checked_sub(1).map(|at| self.instructions[at]);
        let is_target = self.targets().contains_key(&self.instructions[index].0);
        if let Some((_, _, effect @ Effect::Constant { .. })) = before
            && !is_target
        {
            state.apply(effect, 0);
        }
        state
    }

    /// The targets of direct jumps, without values.
    fn targets(&self) -> FxHashMap<usize, Option<State>> {
        let targets: FxHashSet<usize> = self
            .instructions
            .iter()
            .filter_map(|(_, end, effect)| jump_target(*end, *effect))
            .collect();
        targets.into_iter().map(|target| (target, None)).collect()
    }

    /// Follows the values through the code once. `entries` has the values at the target of each jump. Returns the
    /// values before an instruction, and whether `entries` is unchanged.
    fn pass(
        &self,
        wanted: usize,
        entries: &mut FxHashMap<usize, Option<State>>,
    ) -> (Option<State>, bool) {
        let (mut found, mut is_final) = (None, true);
        let mut flow = Flow::Reached(State::at_entry());
        for (index, (start, end, effect)) in self.instructions.iter().enumerate() {
            flow = match (entries.get(start), flow) {
                (Some(Some(entry)), Flow::Reached(mut state)) => {
                    state.join(entry);
                    Flow::Reached(state)
                }
                (Some(Some(entry)), _) => Flow::Reached(*entry),
                (Some(None), Flow::Ended) => Flow::Unreached,
                (None, Flow::Ended) if *effect == Effect::Nop => Flow::Ended,
                // An exception or a jump from another part of the function may lead here.
                (None, Flow::Ended) => Flow::Reached(State::NOTHING),
                (_, flow) => flow,
            };
            if let Flow::Reached(state) = &mut flow {
                if index == wanted {
                    found = Some(*state);
                }
                state.apply(*effect, *end as i64);
                if let Some(entry) = jump_target(*end, *effect).and_then(|to| entries.get_mut(&to))
                {
                    let before = *entry;
                    match entry {
                        Some(entry) => entry.join(state),
                        None => *entry = Some(*state),
                    }
                    is_final &= *entry == before;
                }
            }
            if matches!(effect, Effect::Jump(_) | Effect::End) {
                flow = Flow::Ended;
            }
        }
        (found, is_final)
    }
}

/// Whether and with which values a place between two instructions is reached.
enum Flow {
    Reached(State),
    /// No jump that leads here has been reached yet.
    Unreached,
    /// The instruction before does not continue.
    Ended,
}

/// The offset that a jump goes to, if it is in a function.
fn jump_target(end: usize, effect: Effect) -> Option<usize> {
    match effect {
        Effect::Branch(offset) | Effect::Jump(Target::Direct(offset)) => {
            usize::try_from(end as i64 + offset).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
