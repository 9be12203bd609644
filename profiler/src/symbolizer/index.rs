//! The symbol index of a file, from everything that names its code.

use super::dwarf;
use super::elf::{self, Elf, Symbols};
use super::names::demangle;
use super::{debug_file, go, unwind_table};
use davy_profile::symbol_index::{Builder, SymbolFrame};
use gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use object::elf::PF_X;
use object::{Object, ObjectSegment, SegmentFlags};
use std::io::{self, Write};
use std::path::Path;

/// Maximum size of a function whose size and successor are not known, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// How much of a symbol index comes from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SymbolSources {
    /// The build id of the file, in hexadecimal; empty if it has none.
    pub build_id: String,
    /// Functions that debug information describes, with inlined functions and lines.
    pub debug_info: usize,
    /// Functions of symbol tables, and of the table of Go's runtime, which has inlined functions and lines, too.
    pub symbols: usize,
    /// Functions that only the unwind table has. They are named by their address, such as `server+0x4f9c0`.
    pub unwind_table: usize,
}

/// Writes the symbol index ([`davy_profile::symbol_index`]) of an executable or a shared library. Debug information
/// may be in a separate file that `.gnu_debuglink` or the build id leads to.
///
/// # Errors
///
/// If the file cannot be read, is not a 64-bit ELF file or is a debug file without code, or if writing fails.
pub fn build_symbol_index(path: &Path, output: impl Write) -> io::Result<SymbolSources> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    build((path, None), &name, output, || {})
}

/// Like [`build_symbol_index`], for a path that does not have the file's name, and a debug file that is not where the
/// file leads to. Calls `after_unit` from time to time.
pub(super) fn build(
    (path, debug): (&Path, Option<&Path>),
    name: &str,
    output: impl Write,
    mut after_unit: impl FnMut(),
) -> io::Result<SymbolSources> {
    let map = elf::map(path)?;
    let own = elf::parse(&map)?;
    if !has_code(&own) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is a debug file, without the code whose offsets an index has; use the executable, with the debug file beside it",
        ));
    }
    let build_id = own.build_id().ok().flatten().unwrap_or_default();
    let build_id = crate::loader::hex(build_id);
    let debug_path = debug.map_or_else(|| debug_file::find(path), Path::to_owned);
    // An unreadable debug file is treated as missing.
    let debug_map = elf::map(&debug_path).ok();
    let debug = debug_map.as_deref().and_then(|map| elf::parse(map).ok());
    let debug = debug.as_ref().unwrap_or(&own);

    let mut index = Builder::new(&build_id, name);
    let symbols = Symbols::new([debug, &own]);
    let mut sources = SymbolSources {
        build_id,
        ..SymbolSources::default()
    };
    let covered = add_debug_info(debug, &debug_path, &symbols, &mut index, &mut after_unit);
    sources.debug_info = covered.len();
    let mut gaps = Gaps::new(covered);
    let free = |low, high| gaps.free(low, high);
    let of_go = go::add_functions(&own, free, &mut index, &mut after_unit);
    sources.symbols = of_go.len();
    gaps.cover(of_go);
    sources.symbols += add_symbols(&symbols, &mut gaps, &mut index);
    for (low, high) in unwind_table::functions(&own) {
        if let Some((start, end)) = gaps.free(low, high) {
            index.add_unnamed(start, end - start);
            sources.unwind_table += 1;
        }
    }
    index.count_named(sources.debug_info + sources.symbols);
    to_offsets(&own, &mut index);
    index.write(output)?;
    Ok(sources)
}

/// The index of a file that is in memory only, such as the vdso, from its symbol table.
pub(crate) fn of_memory(bytes: &[u8], name: &str) -> io::Result<Vec<u8>> {
    let elf = elf::parse(bytes)?;
    let build_id = elf.build_id().ok().flatten().unwrap_or_default();
    let mut index = Builder::new(&crate::loader::hex(build_id), name);
    let mut gaps = Gaps::new(Vec::new());
    let symbols = add_symbols(&Symbols::new([&elf]), &mut gaps, &mut index);
    index.count_named(symbols);
    to_offsets(&elf, &mut index);
    let mut output = Vec::new();
    index.write(&mut output)?;
    Ok(output)
}

/// Whether a file has bytes for every segment of code. In a separate debug file, these are left out.
fn has_code(elf: &Elf<'_>) -> bool {
    elf.segments().all(|segment| {
        let SegmentFlags::Elf { p_flags } = segment.flags() else {
            return true;
        };
        p_flags & PF_X == 0 || segment.file_range().1 > 0
    })
}

/// Converts the addresses that a file was linked for to offsets in the file.
fn to_offsets(elf: &Elf<'_>, index: &mut Builder) {
    let segments = elf
        .segments()
        .map(|segment| (segment.address(), segment.file_range()));
    let segments: Vec<(u64, (u64, u64))> = segments.collect();
    index.convert(|address| {
        segments.iter().find_map(|(start, (offset, length))| {
            let within = address
                .checked_sub(*start)
                .filter(|within| within < length)?;
            Some(offset + within)
        })
    });
}

/// Adds the functions of symbol tables that have no name yet, and returns their number.
fn add_symbols(symbols: &Symbols<'_>, gaps: &mut Gaps, index: &mut Builder) -> usize {
    let mut added = Vec::new();
    let mut functions = symbols.iter().peekable();
    while let Some(symbol) = functions.next() {
        // A function of unknown size ends before the next one.
        let next = functions.peek().map_or(u64::MAX, |next| next.start);
        let end = match symbol.size {
            0 => next.min(symbol.start.saturating_add(SIZE_MAX)),
            size => symbol.start.saturating_add(size),
        };
        if let Some((start, end)) = gaps.free(symbol.start, end) {
            add_named(start, end, &demangle(symbol.name), index);
            added.push((start, end));
        }
    }
    let count = added.len();
    gaps.cover(added);
    count
}

/// Adds a function of which only the name is known.
fn add_named(start: u64, end: u64, name: &str, index: &mut Builder) {
    let frame = SymbolFrame {
        function: index.string(name),
        ..SymbolFrame::default()
    };
    index.add(start, end - start, &[frame]);
}

/// Adds the functions of debug information, and returns their ranges.
fn add_debug_info(
    elf: &Elf<'_>,
    path: &Path,
    symbols: &Symbols<'_>,
    index: &mut Builder,
    after_unit: impl FnMut(),
) -> Vec<(u64, u64)> {
    // Files that were processed by dwz share a supplementary file.
    let shared_map = debug_file::supplementary(elf, path).and_then(|path| elf::map(&path).ok());
    let shared = shared_map.as_deref().and_then(|map| elf::parse(map).ok());
    let shared = shared.as_ref().and_then(sections);
    let Some(own) = sections(elf) else {
        return Vec::new();
    };
    let dwarf = own.borrow_with_sup(shared.as_ref(), |section| {
        EndianSlice::new(section, LittleEndian)
    });
    dwarf::add_functions(&dwarf, path, symbols, index, after_unit)
}

fn sections<'a>(elf: &Elf<'a>) -> Option<DwarfSections<elf::Section<'a>>> {
    DwarfSections::load(|id: SectionId| Ok::<_, gimli::Error>(elf::section(elf, id.name()))).ok()
}

/// Code that has no name yet.
struct Gaps {
    /// Sorted and disjoint.
    covered: Vec<(u64, u64)>,
}

impl Gaps {
    fn new(mut covered: Vec<(u64, u64)>) -> Self {
        covered.sort_unstable();
        let mut disjoint: Vec<(u64, u64)> = Vec::with_capacity(covered.len());
        for (low, high) in covered {
            match disjoint.last_mut() {
                Some(last) if low <= last.1 => last.1 = last.1.max(high),
                _ => disjoint.push((low, high)),
            }
        }
        Self { covered: disjoint }
    }

    fn cover(&mut self, further: Vec<(u64, u64)>) {
        let mut all = std::mem::take(&mut self.covered);
        all.extend(further);
        *self = Self::new(all);
    }

    /// The part of a range from its start to the first named code; none if its start has a name.
    fn free(&self, low: u64, high: u64) -> Option<(u64, u64)> {
        let after = self.covered.partition_point(|(start, _)| *start <= low);
        let before = after.checked_sub(1).map(|at| self.covered[at]);
        if before.is_some_and(|(_, end)| end > low) || low == 0 {
            return None;
        }
        let next = self
            .covered
            .get(after)
            .map_or(u64::MAX, |(start, _)| *start);
        let end = high.min(next);
        (low < end).then_some((low, end))
    }
}
