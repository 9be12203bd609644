//! The unwind tables of a file, loaded into memory.

use framehop::{
    ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder as _, UnwinderNative,
};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ReadCache, ReadRef};
use std::fs;
use std::ops::Range;

/// Works on addresses relative to the file, so that all processes share it.
pub(crate) type Unwinder = UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>;

/// Total size of all tables in bytes. Those of a large browser take about 30 MB.
pub(crate) const BYTES_MAX: usize = 256 << 20;

/// The tables of one file.
pub(crate) struct Tables {
    pub(crate) unwinder: Unwinder,
    /// Load segments: range in the file, and virtual address.
    segments: Vec<(Range<u64>, u64)>,
    /// Size in bytes.
    pub(crate) bytes: usize,
}

impl Tables {
    /// Reads the tables of a file. `None` if it has none, if it is not a 64-bit ELF file, or if they
    /// exceed `budget` bytes.
    pub(crate) fn read(file: &fs::File, budget: usize) -> Option<Self> {
        let file = file.try_clone().ok()?;
        Self::parse(&ReadCache::new(file), budget)
    }

    /// Like [`Tables::read`], from any data.
    pub(crate) fn parse<'data, R: ReadRef<'data>>(data: R, budget: usize) -> Option<Self> {
        let elf = ElfFile64::<Endianness, R>::parse(data).ok()?;
        let endian = elf.endian();
        let segments: Vec<(Range<u64>, u64)> = elf
            .elf_program_headers()
            .iter()
            .filter(|header| header.p_type(endian) == PT_LOAD)
            .map(|header| {
                let start = header.p_offset(endian);
                let end = start.saturating_add(header.p_filesz(endian));
                (start..end, header.p_vaddr(endian))
            })
            .collect();
        let base = segments.iter().map(|(_, address)| *address).min()?;
        let mut bytes = 0;
        let mut section = |name: &str| {
            let section = elf.section_by_name(name)?;
            let data = section.compressed_data().ok()?;
            let size = usize::try_from(data.uncompressed_size).ok()?;
            if size == 0 || bytes + size > budget {
                return None;
            }
            let data = data.decompress().ok()?.into_owned();
            bytes += data.len();
            Some((section.address()..section.address() + section.size(), data))
        };
        let frame = section(".eh_frame");
        let header = frame.as_ref().and_then(|_| section(".eh_frame_hdr"));
        let debug = match frame {
            Some(_) => None,
            None => Some(section(".debug_frame")?),
        };
        let range_of = |name: &str| {
            let section = elf.section_by_name(name)?;
            Some(section.address()..section.address() + section.size())
        };
        let (frame_range, frame) = frame.unzip();
        let (header_range, header) = header.unzip();
        let sections = ExplicitModuleSectionInfo {
            base_svma: base,
            text_svma: range_of(".text"),
            got_svma: range_of(".got"),
            eh_frame_svma: frame_range,
            eh_frame: frame,
            eh_frame_hdr_svma: header_range,
            eh_frame_hdr: header,
            debug_frame: debug.map(|(_, data)| data),
            ..ExplicitModuleSectionInfo::default()
        };
        let mut unwinder = Unwinder::new();
        unwinder.add_module(Module::new(String::new(), base..u64::MAX, base, sections));
        Some(Self {
            unwinder,
            segments,
            bytes,
        })
    }

    /// Virtual address of an offset in the file.
    pub(crate) fn address(&self, offset: u64) -> Option<u64> {
        let (range, address) = self
            .segments
            .iter()
            .find(|(range, _)| range.contains(&offset))?;
        address.checked_add(offset - range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_this_program_are_read_within_the_budget() {
        let own = fs::File::open("/proc/self/exe").expect("open this program");
        let tables = Tables::read(&own, BYTES_MAX).expect("it has unwind tables");
        assert!(tables.bytes > 1_000, "{} bytes", tables.bytes);
        assert!(
            Tables::read(&own, 100).is_none(),
            "the tables exceed the budget"
        );
    }

    #[test]
    fn invalid_files_have_no_tables() {
        let elf = fs::read("/proc/self/exe").expect("open this program");
        assert!(Tables::parse(&b"#!/bin/sh\n"[..], BYTES_MAX).is_none());
        for length in [0, 16, 64, 1_000, elf.len() / 2] {
            // A truncated file must not cause a panic.
            let _ = Tables::parse(&elf[..length], BYTES_MAX);
        }
    }
}
