//! Walking a stack from a copy of it, by the unwind tables of the files that its code is from; where
//! there are none, by frame pointers.

use crate::event::registers;
use crate::files::Files;
use crate::maps::{Kind, Maps};
use crate::parse::User;
use crate::tables::{self, Tables, Unwinder};
use framehop::{
    CacheNative, FrameAddress, MayAllocateDuringUnwind, UnwindRegsNative, Unwinder as _,
};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// Frames of a stack; what is beyond is cut off at the root.
const FRAMES_MAX: usize = 1_024;

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the function that the thread began with.
    Root,
    /// Before it: the copy of the stack was too short.
    Short,
    /// Before it: nothing says how to go on.
    Cut,
}

/// Walks stacks.
pub(crate) struct Walker {
    /// By file; none where a file has no tables.
    tables: FxHashMap<u32, Option<Tables>>,
    bytes: usize,
    /// For code without tables.
    bare: Unwinder,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

impl Walker {
    pub(crate) fn new() -> Self {
        Self {
            tables: FxHashMap::default(),
            bytes: 0,
            bare: Unwinder::new(),
            cache: CacheNative::new_in(),
        }
    }

    /// The stack of a sample, the leaf first: the instruction, and where its callers go on.
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
                // A caller is somewhere in the code, and its frame is above.
                Ok(Some(caller))
                    if (is_leaf || registers.sp() > sp)
                        && maps.place(pid, caller.wrapping_sub(1)).is_some() =>
                {
                    frames.push(caller);
                }
                // Where a thread begins, there is no frame pointer yet.
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
        // Callers are known by where they go on; the call is before that.
        let inside = if is_leaf {
            frame
        } else {
            frame.wrapping_sub(1)
        };
        let place = maps.place(pid, inside);
        if let Some(place) = place {
            self.load(place.file, maps, files);
        }
        let tables = place.and_then(|place| {
            let tables = self.tables.get(&place.file)?.as_ref()?;
            Some((&tables.unwinder, tables.address(place.offset)?))
        });
        let (unwinder, inside) = tables.unwrap_or((&self.bare, inside));
        let address = if is_leaf {
            FrameAddress::from_instruction_pointer(inside)
        } else {
            FrameAddress::from_return_address(inside.wrapping_add(1))
                .ok_or(framehop::Error::ReturnAddressIsNull)?
        };
        unwinder.unwind_frame(address, registers, &mut self.cache, read)
    }

    fn load(&mut self, number: u32, maps: &Maps, files: &mut Files) {
        if self.tables.contains_key(&number) {
            return;
        }
        let file = &maps.files()[number as usize];
        let room = tables::BYTES_MAX - self.bytes;
        let tables = match file.kind {
            Kind::Made => None,
            Kind::Vdso | Kind::File => match files.open(number, file) {
                Ok(file) => Tables::read(file, room),
                Err(_) => None,
            },
        };
        self.bytes += tables.as_ref().map_or(0, |tables| tables.bytes);
        self.tables.insert(number, tables);
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
    // Return addresses may be signed in the bits that no address of a program has.
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

/// A walk that was cut, gone on with what the kernel found by frame pointers: from the last frame on
/// that both have, if that leads further.
pub(crate) fn go_on(walked: &mut Vec<u64>, chain: &[u64]) -> bool {
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
    fn a_cut_walk_goes_on_where_the_kernel_saw_further() {
        let check = |walked: &[u64], chain: &[u64], expected: &[u64]| {
            let mut joined = walked.to_vec();
            let is_longer = go_on(&mut joined, chain);
            assert_eq!(joined, expected);
            assert_eq!(is_longer, walked != expected);
        };
        // The kernel missed the second frame, and saw beyond the copy's end.
        check(&[1, 2, 3], &[1, 3, 4, 5], &[1, 2, 3, 4, 5]);
        // It saw less.
        check(&[1, 2, 3], &[1], &[1, 2, 3]);
        // It saw nothing of the same.
        check(&[1, 2], &[], &[1, 2]);
        check(&[1, 2], &[7, 8, 9], &[1, 2]);
        // The last frame of the walk was none.
        check(&[1, 2, 99], &[1, 2, 4, 5], &[1, 2, 4, 5]);
    }
}
