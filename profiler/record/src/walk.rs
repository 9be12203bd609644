//! Unwinds a copy of a stack by the unwind tables of the mapped files, or by frame pointers where code
//! has no tables.

use crate::event::registers;
use crate::files::Files;
use crate::maps::{MappingKind, Maps};
use crate::parse::User;
use crate::tables::{self, Tables, Unwinder};
use framehop::{
    CacheNative, FrameAddress, MayAllocateDuringUnwind, UnwindRegsNative, Unwinder as _,
};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// Frames of a stack; further ones, towards the root, are dropped.
const FRAMES_MAX: usize = 1_024;

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the function that the thread started with.
    Root,
    /// Before the root, at the end of the stack copy.
    Short,
    /// Before the root, for lack of unwind information.
    Cut,
}

/// Unwinds stacks.
pub(crate) struct Walker {
    /// Tables by file; `None` for a file without tables.
    tables: FxHashMap<u32, Option<Tables>>,
    /// Total size of the tables.
    bytes: usize,
    /// Unwinds code without tables, by frame pointers.
    frame_pointers: Unwinder,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

impl Walker {
    pub(crate) fn new() -> Self {
        Self {
            tables: FxHashMap::default(),
            bytes: 0,
            frame_pointers: Unwinder::new(),
            cache: CacheNative::new_in(),
        }
    }

    /// Returns the stack of a sample: the instruction, then the return addresses of its callers.
    pub(crate) fn walk(
        &mut self,
        pid: u32,
        user: &User,
        maps: &Maps,
        files: &mut Files,
    ) -> (Vec<u64>, End) {
        let mut registers = registers_of(user);
        let bottom = user.registers[registers::SP];
        let is_short = Cell::new(false);
        let mut read = |address: u64| -> Result<u64, ()> {
            is_short.set(address >= bottom.saturating_add(user.stack.len() as u64));
            let start = usize::try_from(address.checked_sub(bottom).ok_or(())?).map_err(|_| ())?;
            let word = user.stack.get(start..).and_then(<[u8]>::first_chunk);
            word.map(|word| u64::from_le_bytes(*word)).ok_or(())
        };
        let mut frames = vec![user.registers[registers::PC]];
        while frames.len() < FRAMES_MAX {
            let is_leaf = frames.len() == 1;
            let frame = frames[frames.len() - 1];
            let sp = registers.sp();
            is_short.set(false);
            let caller = self.step(
                (pid, frame, is_leaf),
                &mut registers,
                &mut read,
                maps,
                files,
            );
            match caller {
                Ok(None) => return (frames, End::Root),
                // A caller must be in mapped code, and its frame must be above.
                Ok(Some(caller))
                    if (is_leaf || registers.sp() > sp)
                        && maps.resolve(pid, caller.wrapping_sub(1)).is_some() =>
                {
                    frames.push(caller);
                }
                // The first function of a thread has a frame pointer of 0.
                Err(_) if frame_pointer(&registers) == 0 => return (frames, End::Root),
                _ if is_short.get() => return (frames, End::Short),
                _ => return (frames, End::Cut),
            }
        }
        (frames, End::Cut)
    }

    fn step(
        &mut self,
        (pid, frame, is_leaf): (u32, u64, bool),
        registers: &mut UnwindRegsNative,
        read: &mut impl FnMut(u64) -> Result<u64, ()>,
        maps: &Maps,
        files: &mut Files,
    ) -> Result<Option<u64>, framehop::Error> {
        // A return address may be past the end of the calling function; the call is before it.
        let inside = if is_leaf {
            frame
        } else {
            frame.wrapping_sub(1)
        };
        let location = maps.resolve(pid, inside);
        if let Some(location) = location {
            self.load(location.file, maps, files);
        }
        let tables = location.and_then(|location| {
            let tables = self.tables.get(&location.file)?.as_ref()?;
            Some((&tables.unwinder, tables.address(location.offset)?))
        });
        let (unwinder, inside) = tables.unwrap_or((&self.frame_pointers, inside));
        let address = if is_leaf {
            FrameAddress::from_instruction_pointer(inside)
        } else {
            FrameAddress::from_return_address(inside.wrapping_add(1))
                .ok_or(framehop::Error::ReturnAddressIsNull)?
        };
        unwinder.unwind_frame(address, registers, &mut self.cache, read)
    }

    fn load(&mut self, index: u32, maps: &Maps, files: &mut Files) {
        if self.tables.contains_key(&index) {
            return;
        }
        let file = &maps.files()[index as usize];
        let budget = tables::BYTES_MAX - self.bytes;
        let tables = match file.kind {
            MappingKind::Jit => None,
            MappingKind::Vdso | MappingKind::File => match files.open(index, file) {
                Ok(file) => Tables::read(file, budget),
                Err(_) => None,
            },
        };
        self.bytes += tables.as_ref().map_or(0, |tables| tables.bytes);
        self.tables.insert(index, tables);
    }
}

fn registers_of(user: &User) -> UnwindRegsNative {
    let register = |index: usize| user.registers[index];
    #[cfg(target_arch = "x86_64")]
    return UnwindRegsNative::new(
        register(registers::PC),
        register(registers::SP),
        register(registers::FP),
    );
    // Return addresses may carry a signature above bit 48 (pointer authentication).
    #[cfg(target_arch = "aarch64")]
    return UnwindRegsNative::new_with_ptr_auth_mask(
        framehop::aarch64::PtrAuthMask((1 << 48) - 1),
        register(registers::LR),
        register(registers::SP),
        register(registers::FP),
    );
}

fn frame_pointer(registers: &UnwindRegsNative) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return registers.bp();
    #[cfg(target_arch = "aarch64")]
    return registers.fp();
}

/// Extends an incomplete walk with the kernel's chain, from the last frame that both contain, if the
/// chain has more callers. Returns whether it did.
pub(crate) fn extend_with_chain(walked: &mut Vec<u64>, chain: &[u64]) -> bool {
    for index in (0..walked.len()).rev() {
        let Some(at) = chain.iter().position(|address| *address == walked[index]) else {
            continue;
        };
        let rest = &chain[at + 1..];
        if rest.len() > walked.len() - index - 1 {
            walked.truncate(index + 1);
            walked.extend_from_slice(rest);
            return true;
        }
        return false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_walk_is_extended_where_the_chain_has_more_callers() {
        let check = |walked: &[u64], chain: &[u64], expected: &[u64]| {
            let mut joined = walked.to_vec();
            let is_longer = extend_with_chain(&mut joined, chain);
            assert_eq!(joined, expected);
            assert_eq!(is_longer, walked != expected);
        };
        // The chain lacks the second frame, and has callers beyond the end of the copy.
        check(&[1, 2, 3], &[1, 3, 4, 5], &[1, 2, 3, 4, 5]);
        // The chain is shorter.
        check(&[1, 2, 3], &[1], &[1, 2, 3]);
        // The chain has no frame in common.
        check(&[1, 2], &[], &[1, 2]);
        check(&[1, 2], &[7, 8, 9], &[1, 2]);
        // The last frame of the walk was wrong.
        check(&[1, 2, 99], &[1, 2, 4, 5], &[1, 2, 4, 5]);
    }
}
