//! Debug information as the child reads it: of the units that hold the addresses, or of all.
//!
//! A program has hundreds of compilation units, and to get ready for a question about any of them
//! took most of a child's time. `.debug_aranges` tells which unit holds an address; the others are
//! made to look empty in a copy of `.debug_info`, where every unit stays where it was.

use addr2line::gimli::{self, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, FrameIter, Loader};
use object::read::elf::ElfFile64;
use object::{CompressionFormat, Object, ObjectSection, SymbolMap, SymbolMapName};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

/// What is asked of debug information.
pub(super) trait Source {
    /// Gives each frame of an address, the innermost first: the function's raw name, the file and
    /// the line, as far as they are known.
    fn frames(&self, address: u64, each: impl FnMut(&str, &str, u32));

    /// Gives the ranges of lines, start and length, until `each` answers `false`.
    fn rows(&self, low: u64, high: u64, each: impl FnMut(u64, u64) -> bool);

    /// Where the symbol of an address begins, and its name.
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

impl Source for Loader {
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

/// Only the units that hold some addresses.
pub(super) struct Few {
    context: Context<Section>,
    symbols: SymbolMap<SymbolMapName<'static>>,
    /// Whether something could not be read, such as a name that stands in another unit.
    is_broken: Cell<bool>,
}

impl Few {
    /// None where it can't be told which units those are, and where debug information is split.
    ///
    /// What is read stays in memory: this is for a child that ends soon.
    pub(super) fn open(path: &Path, addresses: &[u64]) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        // SAFETY: the map is read through bounds checks only, in a child that a fault would only end.
        let map = Box::leak(Box::new(unsafe { memmap2::Mmap::map(&file) }.ok()?));
        let map: &'static [u8] = map;
        let elf: ElfFile64<'static, object::LittleEndian> = ElfFile64::parse(map).ok()?;
        let section = |name: &str| -> Option<&'static [u8]> {
            let section = elf.section_by_name(name)?;
            let range = section.compressed_file_range().ok()?;
            if range.format == CompressionFormat::None {
                return section.data().ok();
            }
            let data = section.uncompressed_data().ok()?;
            Some(Vec::leak(data.into_owned()))
        };
        let wanted = units_of(section(".debug_aranges")?, addresses)?;
        let (info, abbrev) = (section(".debug_info")?, section(".debug_abbrev")?);
        let info: &'static [u8] = Vec::leak(without(info, abbrev, &wanted)?);
        let dwarf = gimli::Dwarf::load(|id: SectionId| {
            let data = match id {
                SectionId::DebugInfo => info,
                // Where variables are is not asked, and a compressed section takes its time.
                SectionId::DebugLoc | SectionId::DebugLocLists | SectionId::DebugMacro => &[],
                id => section(id.name()).unwrap_or_default(),
            };
            Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
        });
        let dwarf = dwarf.ok()?;
        // Units that are split have their addresses in a section of its own.
        let mut units = dwarf.units();
        while let (Some(_), Ok(Some(header))) = (elf.section_by_name(".debug_addr"), units.next()) {
            if dwarf.unit(header).is_ok_and(|unit| unit.dwo_id.is_some()) {
                return None;
            }
        }
        Some(Self {
            context: Context::from_dwarf(dwarf).ok()?,
            symbols: Box::leak(Box::new(elf)).symbol_map(),
            is_broken: Cell::new(false),
        })
    }

    /// Whether everything that was asked for could be read.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_broken.get()
    }
}

impl Source for Few {
    fn frames(&self, address: u64, each: impl FnMut(&str, &str, u32)) {
        match self.context.find_frames(address).skip_all_loads() {
            Ok(found) => each_frame(found, each),
            Err(_) => self.is_broken.set(true),
        }
    }

    fn rows(&self, low: u64, high: u64, mut each: impl FnMut(u64, u64) -> bool) {
        match self.context.find_location_range(low, high) {
            Ok(mut rows) => {
                rows.all(|(row, length, _)| each(row, length));
            }
            Err(_) => self.is_broken.set(true),
        }
    }

    fn symbol(&self, address: u64) -> Option<(u64, &str)> {
        let symbol = self.symbols.containing(address)?;
        Some((symbol.address(), symbol.name()))
    }
}

/// Every unit that `.debug_aranges` tells of, and whether one of the sorted addresses is in it.
struct Told {
    all: BTreeSet<usize>,
    wanted: BTreeSet<usize>,
}

fn units_of(aranges: &'static [u8], addresses: &[u64]) -> Option<Told> {
    let (mut all, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    let aranges = gimli::DebugAranges::new(aranges, LittleEndian);
    let mut headers = aranges.headers();
    while let Some(header) = headers.next().ok()? {
        let unit = header.debug_info_offset().0;
        all.insert(unit);
        let mut entries = header.entries();
        while let Some(entry) = entries.next_raw().ok()? {
            let begin = entry.address();
            let first = addresses.partition_point(|address| *address < begin);
            let found = addresses.get(first);
            if found.is_some_and(|address| address - begin < entry.length()) {
                wanted.insert(unit);
            }
        }
    }
    (!wanted.is_empty()).then_some(Told { all, wanted })
}

/// A copy of `.debug_info` in which the units that are told of and not wanted refer to a table of
/// abbreviations that has none, and so hold nothing.
///
/// DWARF 5, section 7.5.1: length, version, from 5 on the kind and the size of an address, and the
/// table's offset.
fn without(info: &[u8], abbrev: &[u8], told: &Told) -> Option<Vec<u8>> {
    // A table ends with a zero, and so does the section.
    let empty = u32::try_from(abbrev.len().checked_sub(1)?).ok()?;
    if abbrev.last() != Some(&0) {
        return None;
    }
    let mut info = info.to_vec();
    let mut at = 0;
    while at < info.len() {
        let field = |from: usize, length: usize| info.get(at + from..at + from + length);
        let length = u32::from_le_bytes(field(0, 4)?.try_into().ok()?);
        let version = u16::from_le_bytes(field(4, 2)?.try_into().ok()?);
        // From this on lengths have 64 bits.
        if length >= 0xffff_fff0 {
            return None;
        }
        if told.all.contains(&at) && !told.wanted.contains(&at) {
            let offset = at + if version < 5 { 6 } else { 8 };
            info.get_mut(offset..offset + 4)?
                .copy_from_slice(&empty.to_le_bytes());
        }
        at += 4 + length as usize;
    }
    Some(info)
}
