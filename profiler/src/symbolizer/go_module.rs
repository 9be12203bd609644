//! The module data of a Go program: where its code is, and the data of its functions.

use super::bytes::u64_at;
use super::elf::Elf;
use object::{Object, ObjectSegment, RelocationTarget};
use rustc_hash::FxHashMap;

/// Offsets of fields of `runtime.moduledata`: the parts of the table, and the start of the code.
const NAMES: u64 = 8;
const UNITS: u64 = 32;
const TEXT: u64 = 176;
/// The data of functions, without the two words of coverage counters that versions from 1.20 on have before it.
const DATA: u64 = 304;
const COVERAGE: u64 = 16;

/// What is read of the module data.
pub(super) struct Module<'a> {
    /// Address of the code.
    pub(super) text: u64,
    /// The data of functions and what follows it.
    pub(super) data: &'a [u8],
}

/// The memory of a program as it is after it was loaded.
struct Memory<'a> {
    segments: Vec<(u64, &'a [u8])>,
    /// Words that the loader writes.
    relocated: FxHashMap<u64, u64>,
}

impl<'a> Memory<'a> {
    fn of(elf: &Elf<'a>) -> Self {
        let segments = elf.segments();
        let segments = segments.filter_map(|of| Some((of.address(), of.data().ok()?)));
        let relocations = elf.dynamic_relocations().into_iter().flatten();
        let relative = relocations.filter(|(_, of)| of.target() == RelocationTarget::Absolute);
        Self {
            segments: segments.collect(),
            relocated: relative.map(|(at, of)| (at, of.addend() as u64)).collect(),
        }
    }

    fn bytes(&self, address: u64) -> Option<&'a [u8]> {
        self.segments.iter().find_map(|(start, bytes)| {
            let within = address.checked_sub(*start)?;
            let bytes = bytes.get(usize::try_from(within).ok()?..)?;
            (!bytes.is_empty()).then_some(bytes)
        })
    }

    fn word(&self, address: u64) -> Option<u64> {
        let relocated = self.relocated.get(&address).copied();
        relocated.or_else(|| u64_at(self.bytes(address)?, 0))
    }

    /// Addresses of words with this value.
    fn find(&self, value: u64) -> impl Iterator<Item = u64> {
        let relocated = self.relocated.iter();
        let relocated = relocated.filter(move |(_, is)| **is == value);
        let written = self.segments.iter().flat_map(move |(start, bytes)| {
            let words = bytes.as_chunks::<8>().0.iter().enumerate();
            let found = words.filter(move |(_, word)| u64::from_le_bytes(**word) == value);
            found.map(move |(at, _)| start.wrapping_add(8 * at as u64))
        });
        relocated.map(|(at, _)| *at).chain(written)
    }
}

impl<'a> Module<'a> {
    /// The module that refers to the table at this address.
    pub(super) fn find(
        elf: &Elf<'a>,
        (table, bytes): (u64, &[u8]),
        has_coverage: bool,
    ) -> Option<Self> {
        let memory = Memory::of(elf);
        let part = |at: u64| u64_at(bytes, 8 + 8 * at).and_then(|of| table.checked_add(of));
        let (names, units) = (part(3)?, part(4)?);
        let field = |module: u64, at: u64| memory.word(module.checked_add(at)?);
        let is_module = |module: &u64| {
            field(*module, NAMES) == Some(names) && field(*module, UNITS) == Some(units)
        };
        let module = memory.find(table).find(is_module)?;
        let data = DATA + if has_coverage { COVERAGE } else { 0 };
        Some(Self {
            text: field(module, TEXT)?,
            data: memory.bytes(field(module, data)?).unwrap_or(&[]),
        })
    }
}
