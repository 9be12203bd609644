//! Debug information as the child reads it: of the compilation units that hold the addresses, or of all.
//!
//! A program has hundreds of compilation units, and indexing all of them took most of the child's time. So
//! `.debug_aranges` is used to find the units that hold the addresses, and the other units are made to
//! look empty in a private copy of `.debug_info`, which keeps the offset of every unit.

use addr2line::gimli::{self, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, FrameIter, Loader};
use object::read::elf::ElfFile64;
use object::{CompressionFormat, Object, ObjectSection, SymbolMap, SymbolMapName};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

/// Queries of debug information.
pub(super) trait DebugInfo {
    /// Passes each frame of an address to `each`, the innermost first: raw function name, file and line,
    /// as far as they are known.
    fn frames(&self, address: u64, each: impl FnMut(&str, &str, u32));

    /// Passes the ranges of lines to `each`, as start and length, until it returns `false`.
    fn rows(&self, low: u64, high: u64, each: impl FnMut(u64, u64) -> bool);

    /// The start and the name of the symbol that holds an address.
    fn symbol(&self, address: u64) -> Option<(u64, &str)>;
}

fn each_frame<R: gimli::Reader>(
    mut found: FrameIter<'_, R>,
    mut each: impl FnMut(&str, &str, u32),
) {
    while let Ok(Some(frame)) = found.next() {
        let location = frame.location;
        let name = frame.function.as_ref();
        let name = name.and_then(|function| function.raw_name().ok());
        let file = location.as_ref().and_then(|location| location.file);
        let line = location.as_ref().and_then(|location| location.line);
        each(
            &name.unwrap_or_default(),
            file.unwrap_or_default(),
            line.unwrap_or(0),
        );
    }
}

impl DebugInfo for Loader {
    fn frames(&self, address: u64, each: impl FnMut(&str, &str, u32)) {
        if let Ok(found) = self.find_frames(address) {
            each_frame(found, each);
        }
    }

    fn rows(&self, low: u64, high: u64, mut each: impl FnMut(u64, u64) -> bool) {
        if let Ok(mut rows) = self.find_location_range(low, high) {
            rows.all(|(row, length, _)| each(row, length));
        }
    }

    fn symbol(&self, address: u64) -> Option<(u64, &str)> {
        let symbol = self.find_symbol_info(address)?;
        Some((symbol.address(), symbol.name()))
    }
}

type Section = EndianSlice<'static, LittleEndian>;

/// Debug information of only those units that hold certain addresses.
pub(super) struct PartialDebugInfo {
    context: Context<Section>,
    symbols: SymbolMap<SymbolMapName<'static>>,
    /// Whether a query failed, for example because a name is in another unit.
    has_failed: Cell<bool>,
}

impl PartialDebugInfo {
    /// None if the units of the addresses are not known, or if debug information is split.
    ///
    /// Leaks what it reads, because the child exits soon.
    pub(super) fn open(path: &Path, addresses: &[u64]) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        // SAFETY: the map is read through bounds checks only, in a child that a fault would merely end.
        let map = Box::leak(Box::new(unsafe { memmap2::Mmap::map(&file) }.ok()?));
        let map: &'static [u8] = map;
        let elf: ElfFile64<'static, object::LittleEndian> = ElfFile64::parse(map).ok()?;
        let units = units_of(section(&elf, ".debug_aranges")?, addresses)?;
        let abbrev = section(&elf, ".debug_abbrev")?;
        // Decompression takes most of the time, so each section has a thread of its own.
        let (info, others) = std::thread::scope(|scope| {
            let info = scope.spawn(|| with_empty_units(copy_of_info(&elf, &file)?, abbrev, &units));
            let elf = &elf;
            let others = OTHERS.map(|id| (id, scope.spawn(move || section(elf, id.name()))));
            let others = others.map(|(id, read)| (id, read.join().ok().flatten()));
            (info.join().ok().flatten(), others)
        });
        let info = info?;
        let dwarf = gimli::Dwarf::load(|id: SectionId| {
            let data = match id {
                SectionId::DebugInfo => info,
                SectionId::DebugAbbrev => abbrev,
                id => others
                    .iter()
                    .find(|(other, _)| *other == id)
                    .and_then(|(_, data)| *data)
                    .unwrap_or_default(),
            };
            Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
        });
        let dwarf = dwarf.ok()?;
        // The addresses of split units are in a separate section.
        let mut units = dwarf.units();
        while let (Some(_), Ok(Some(header))) = (elf.section_by_name(".debug_addr"), units.next()) {
            if dwarf.unit(header).is_ok_and(|unit| unit.dwo_id.is_some()) {
                return None;
            }
        }
        Some(Self {
            context: Context::from_dwarf(dwarf).ok()?,
            symbols: Box::leak(Box::new(elf)).symbol_map(),
            has_failed: Cell::new(false),
        })
    }

    /// Whether no query has failed.
    pub(super) fn is_complete(&self) -> bool {
        !self.has_failed.get()
    }
}

impl DebugInfo for PartialDebugInfo {
    fn frames(&self, address: u64, each: impl FnMut(&str, &str, u32)) {
        match self.context.find_frames(address).skip_all_loads() {
            Ok(found) => each_frame(found, each),
            Err(_) => self.has_failed.set(true),
        }
    }

    fn rows(&self, low: u64, high: u64, mut each: impl FnMut(u64, u64) -> bool) {
        match self.context.find_location_range(low, high) {
            Ok(mut rows) => {
                rows.all(|(row, length, _)| each(row, length));
            }
            Err(_) => self.has_failed.set(true),
        }
    }

    fn symbol(&self, address: u64) -> Option<(u64, &str)> {
        let symbol = self.symbols.containing(address)?;
        Some((symbol.address(), symbol.name()))
    }
}

/// Offsets of units.
struct Units {
    /// The units that `.debug_aranges` describes.
    described: BTreeSet<usize>,
    /// Those that hold one of the addresses.
    needed: BTreeSet<usize>,
}

/// `addresses` must be sorted.
fn units_of(aranges: &'static [u8], addresses: &[u64]) -> Option<Units> {
    let (mut described, mut needed) = (BTreeSet::new(), BTreeSet::new());
    let aranges = gimli::DebugAranges::new(aranges, LittleEndian);
    let mut headers = aranges.headers();
    while let Some(header) = headers.next().ok()? {
        let unit = header.debug_info_offset().0;
        described.insert(unit);
        let mut entries = header.entries();
        while let Some(entry) = entries.next_raw().ok()? {
            let begin = entry.address();
            let first = addresses.partition_point(|address| *address < begin);
            let found = addresses.get(first);
            if found.is_some_and(|address| address - begin < entry.length()) {
                needed.insert(unit);
            }
        }
    }
    (!needed.is_empty()).then_some(Units { described, needed })
}

/// The sections that name functions and lines, besides `.debug_info` and `.debug_abbrev`. The locations of
/// variables and macros are not needed.
const OTHERS: [SectionId; 9] = [
    SectionId::DebugStr,
    SectionId::DebugLine,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugLineStr,
    SectionId::DebugAddr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
    SectionId::DebugAranges,
];

type Elf = ElfFile64<'static, object::LittleEndian>;

/// The content of a section, decompressed if necessary.
fn section(elf: &Elf, name: &str) -> Option<&'static [u8]> {
    let section = elf.section_by_name(name)?;
    if is_compressed(&section)? {
        return Some(decompressed(&section)?);
    }
    section.data().ok()
}

fn is_compressed(section: &impl ObjectSection<'static>) -> Option<bool> {
    let range = section.compressed_file_range().ok()?;
    Some(range.format != CompressionFormat::None)
}

/// The content of a compressed section.
fn decompressed(section: &impl ObjectSection<'static>) -> Option<&'static mut [u8]> {
    let compressed = section.compressed_data().ok()?;
    match compressed.format {
        // libzstd is several times as fast as the decoder that `object` has.
        #[cfg(feature = "zstd")]
        CompressionFormat::Zstandard => {
            let size = usize::try_from(compressed.uncompressed_size).ok()?;
            let mut buffer = memmap2::MmapMut::map_anon(size).ok()?;
            // To fault in small pages takes a third of the time. Without huge pages, it still works.
            #[cfg(target_os = "linux")]
            let _ = buffer.advise(memmap2::Advice::HugePage);
            let read = zstd::bulk::decompress_to_buffer(compressed.data, &mut buffer[..]).ok()?;
            (read == size).then(|| &mut **Box::leak(Box::new(buffer)))
        }
        _ => Some(Vec::leak(compressed.decompress().ok()?.into_owned())),
    }
}

/// A writable copy of `.debug_info`. If the section is not compressed, only the pages that are written are
/// copied.
fn copy_of_info(elf: &Elf, file: &std::fs::File) -> Option<&'static mut [u8]> {
    let section = elf.section_by_name(SectionId::DebugInfo.name())?;
    if is_compressed(&section)? {
        return decompressed(&section);
    }
    let (offset, length) = section.file_range()?;
    let mut map = memmap2::MmapOptions::new();
    map.offset(offset).len(usize::try_from(length).ok()?);
    // SAFETY: as for the map of the whole file; this one is private, so writes do not reach the file.
    let map = unsafe { map.map_copy(file) }.ok()?;
    Some(&mut **Box::leak(Box::new(map)))
}

/// Whether the first entry of a unit states an address, so that the unit can hold code. `entries` begins with that
/// entry, `abbrev` with the unit's table of abbreviations, whose first one nearly always describes it.
fn may_hold_code(entries: &[u8], abbrev: &[u8]) -> bool {
    let states_address = || -> gimli::Result<bool> {
        use gimli::Reader as _;
        let mut entry = EndianSlice::new(entries, LittleEndian);
        let mut table = EndianSlice::new(abbrev, LittleEndian);
        if entry.read_uleb128()? != table.read_uleb128()? {
            return Ok(true);
        }
        let _tag = table.read_uleb128()?;
        let _has_children = table.read_u8()?;
        loop {
            let (name, form) = (table.read_uleb128_u16()?, table.read_uleb128_u16()?);
            if gimli::DwForm(form) == gimli::DW_FORM_implicit_const {
                table.read_sleb128()?;
            }
            match gimli::DwAt(name) {
                gimli::DwAt(0) => return Ok(false),
                gimli::DW_AT_low_pc | gimli::DW_AT_high_pc | gimli::DW_AT_ranges => {
                    return Ok(true);
                }
                _ => {}
            }
        }
    };
    states_address().unwrap_or(true)
}

/// Edits `.debug_info` so that units that are described but not needed, and those that hold no code, are empty,
/// because they refer to an empty table of abbreviations. Compilers leave thousands of units without code.
///
/// The header of a unit is (DWARF 5, section 7.5.1): length, version, from version 5 on the unit's type and
/// the size of an address, and the offset of the table.
fn with_empty_units(
    info: &'static mut [u8],
    abbrev: &[u8],
    units: &Units,
) -> Option<&'static [u8]> {
    // Each table ends with a zero, and so does the section: that zero is an empty table.
    let empty = u32::try_from(abbrev.len().checked_sub(1)?).ok()?;
    if abbrev.last() != Some(&0) {
        return None;
    }
    let mut at = 0;
    while at < info.len() {
        let field = |from: usize, length: usize| info.get(at + from..at + from + length);
        let length = u32::from_le_bytes(field(0, 4)?.try_into().ok()?);
        let version = u16::from_le_bytes(field(4, 2)?.try_into().ok()?);
        // Reserved: marks a length of 64 bits.
        if length >= 0xffff_fff0 {
            return None;
        }
        let table_field = if version < 5 { 6 } else { 8 };
        let is_useless = if units.described.contains(&at) {
            !units.needed.contains(&at)
        } else {
            let table = u32::from_le_bytes(field(table_field, 4)?.try_into().ok()?);
            let abbrev = abbrev.get(table as usize..)?;
            // The first entry follows the header, which ends with the size of an address or, from version 5 on,
            // with the offset of the table. Units of types, and those that are split, have a longer one.
            let entries = match version {
                ..5 => Some(11),
                _ if field(6, 1)? == [gimli::DW_UT_compile.0] => Some(12),
                _ => None,
            };
            let end = at + 4 + length as usize;
            entries.is_some_and(|first| {
                let entries = info.get(at + first..end);
                entries.is_some_and(|entries| !may_hold_code(entries, abbrev))
            })
        };
        if is_useless {
            info.get_mut(at + table_field..at + table_field + 4)?
                .copy_from_slice(&empty.to_le_bytes());
        }
        at += 4 + length as usize;
    }
    Some(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_whose_first_entry_states_no_address_holds_no_code() {
        // Abbreviation 1: a compile unit with entries below it, then pairs of attribute and form.
        let table = |attributes: &[u8]| [&[1, 0x11, 1], attributes, &[0, 0]].concat();
        let producer: &[u8] = &[0x25, 0x0e];
        let cases: [(&[u8], bool); 5] = [
            (producer, false),
            (&[0x25, 0x0e, 0x11, 0x01, 0x12, 0x06], true),
            (&[0x25, 0x0e, 0x55, 0x17], true),
            // A constant, DW_AT_language, that is in the table: 17 is not an attribute.
            (&[0x13, 0x21, 0x11], false),
            (&[0x13, 0x21, 0x11, 0x55, 0x17], true),
        ];
        for (attributes, expected) in cases {
            let abbrev = table(attributes);
            assert_eq!(may_hold_code(&[1], &abbrev), expected, "{attributes:x?}");
            assert!(may_hold_code(&[2], &abbrev), "another abbreviation");
            assert!(may_hold_code(&[1], &abbrev[..4]), "truncated");
        }
    }
}
