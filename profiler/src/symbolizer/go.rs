//! The functions of Go programs, from the tables of their runtime. Stripped programs keep these.
//!
//! Format: the Go runtime's `symtab.go`, versions 1.18 to 1.26; the tests read programs of the Go that is installed. `.gopclntab` begins with a header:
//!
//! ```text
//! | magic: u32 | 0: u16 | quantum: u8 | size of a pointer: u8 | functions: u64 | files: u64 | start of the code: u64 |
//! | offsets of names, compilation units, files, tables of positions, functions: u64 each |
//! ```
//!
//! Every offset is checked, so a table that is damaged names fewer functions.

use super::bytes::{text_at, u32_at, u64_at};
use super::elf::Elf;
use super::go_module::Module;
use davy_profile::StringId;
use davy_profile::symbol_index::{Builder, SymbolFrame};
use object::elf::PF_X;
use object::{Object, ObjectSection, ObjectSegment, SegmentFlags};
use rustc_hash::FxHashMap;

/// Sections that have the table, of programs at fixed addresses and of others.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Maximum number of functions that are inlined into each other.
const INLINED_MAX: usize = 64;
/// How many times the bytes of the file may be read as names and paths.
const TEXT_FACTOR: usize = 4;
/// The table of positions that says which call was inlined.
const INLINED_CALLS: u64 = 2;
/// The data of a function that describes the calls that were inlined into it.
const INLINED_TREE: u64 = 3;

/// Sizes that differ between versions.
struct Layout {
    /// Size of a function's entry without the lists after it.
    function: u64,
    /// Size of an inlined call, and the offsets of its name and of its position in the caller.
    call: (u64, u64, u64),
    /// Whether the module has the two words of coverage counters.
    has_coverage: bool,
}

const GO_1_18: Layout = Layout {
    function: 40,
    call: (20, 12, 16),
    has_coverage: false,
};
const GO_1_20: Layout = Layout {
    function: 44,
    call: (16, 4, 8),
    has_coverage: true,
};

/// The tables of a program.
struct Table<'a> {
    layout: &'static Layout,
    quantum: u64,
    count: u64,
    /// Address of the code.
    text: u64,
    names: &'a [u8],
    units: &'a [u8],
    files: &'a [u8],
    positions: &'a [u8],
    functions: &'a [u8],
    /// What describes inlined calls; empty if it was not found.
    data: &'a [u8],
}

impl<'a> Table<'a> {
    fn of(elf: &Elf<'a>) -> Option<Self> {
        let section = SECTIONS.iter().find_map(|name| elf.section_by_name(name))?;
        let bytes = section.data().ok()?;
        let layout = match u32_at(bytes, 0)? {
            0xffff_fff0 => &GO_1_18,
            0xffff_fff1 => &GO_1_20,
            _ => return None,
        };
        let (quantum, pointer) = (*bytes.get(6)?, *bytes.get(7)?);
        if quantum == 0 || pointer != 8 {
            return None;
        }
        let word = |at: u64| u64_at(bytes, 8 + 8 * at);
        let part = |at: u64| bytes.get(usize::try_from(word(at)?).ok()?..);
        let module = Module::find(elf, (section.address(), bytes), layout.has_coverage);
        let text = match (&module, word(2)?) {
            (Some(module), _) => module.text,
            // Not relocated, or of a version that does not state it.
            (None, 0) => elf.section_by_name(".text")?.address(),
            (None, text) => text,
        };
        Some(Self {
            layout,
            quantum: quantum.into(),
            count: word(0)?,
            text,
            names: part(3)?,
            units: part(4)?,
            files: part(5)?,
            positions: part(6)?,
            functions: part(7)?,
            data: module.map_or(&[], |module| module.data),
        })
    }

    /// The start of a function, and the offset of its entry; for the number of functions, the end of the last one.
    fn function(&self, number: u64) -> Option<(u64, u64)> {
        let at = number.checked_mul(8)?;
        let start = self.text.checked_add(u32_at(self.functions, at)?.into())?;
        // After the last one there is no further entry.
        Some((start, u32_at(self.functions, at + 4).unwrap_or(0).into()))
    }
}

/// The values of a table of positions, each with the offset in the function where it ends.
#[derive(Default)]
struct Values(Vec<(u64, i32)>);

impl Values {
    /// Reads a table up to the end of its function, or to the first error.
    fn read(&mut self, table: &Table<'_>, offset: u32, length: u64) {
        self.0.clear();
        // 0 means that the function has no such table.
        if offset == 0 {
            return;
        }
        let mut bytes = table.positions.get(offset as usize..).unwrap_or(&[]);
        let (mut value, mut end) = (-1i32, 0u64);
        while end < length {
            let Some(change) = varint(&mut bytes).filter(|change| *change != 0 || end == 0) else {
                return;
            };
            // Zigzag.
            value = value.wrapping_add((change >> 1) as i32 ^ -((change & 1) as i32));
            let Some(step) = varint(&mut bytes).filter(|step| *step != 0) else {
                return;
            };
            end += u64::from(step) * table.quantum;
            self.0.push((end, value));
        }
    }

    /// The value at an offset in the function.
    fn at(&self, offset: u64) -> Option<i32> {
        let index = self.0.partition_point(|(end, _)| *end <= offset);
        self.0.get(index).map(|(_, value)| *value)
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// What is read of one function. Keeps its buffers.
#[derive(Default)]
struct Function {
    /// Offset of the files of its compilation unit.
    unit: u32,
    name: StringId,
    tree: Option<u32>,
    files: Values,
    lines: Values,
    calls: Values,
    frames: Vec<SymbolFrame>,
    before: Vec<SymbolFrame>,
}

/// Adds the texts of a table to an index.
struct Texts<'i> {
    index: &'i mut Builder,
    /// Bytes of text that may still be read. Texts of a damaged table can overlap.
    left: usize,
}

impl Texts<'_> {
    fn read(&mut self, table: &[u8], offset: u32) -> Option<StringId> {
        let text = text_at(table, offset.into())?;
        self.left = self.left.saturating_sub(text.len());
        (self.left > 0).then(|| self.index.string(&String::from_utf8_lossy(text)))
    }
}

/// Adds the functions of a table to an index.
struct Reader<'t, 'i> {
    table: &'t Table<'t>,
    texts: Texts<'i>,
    /// Ids of texts by their offsets.
    names: FxHashMap<u32, Option<StringId>>,
    paths: FxHashMap<u32, StringId>,
}

impl Reader<'_, '_> {
    fn name(&mut self, offset: u32) -> Option<StringId> {
        let (table, texts) = (self.table, &mut self.texts);
        let read = || texts.read(table.names, offset);
        *self.names.entry(offset).or_insert_with(read)
    }

    /// The path of a file of a compilation unit; empty if it is not known.
    fn path(&mut self, unit: u32, number: i32) -> StringId {
        let (table, texts) = (self.table, &mut self.texts);
        let offset = u32::try_from(number).ok().and_then(|number| {
            let at = 4 * (u64::from(unit) + u64::from(number));
            u32_at(table.units, at)
        });
        let Some(offset) = offset.filter(|offset| *offset != u32::MAX) else {
            return StringId(0);
        };
        let read = || texts.read(table.files, offset).unwrap_or_default();
        *self.paths.entry(offset).or_insert_with(read)
    }

    /// Reads a function that takes `length` bytes; `None` if it has no name.
    fn read(&mut self, entry: u64, length: u64, to: &mut Function) -> Option<()> {
        let table = self.table;
        let entry = table.functions.get(usize::try_from(entry).ok()?..)?;
        let word = |at: u64| u32_at(entry, at);
        to.name = self.name(word(4)?)?;
        let (files, lines, tables) = (word(20)?, word(24)?, u64::from(word(28)?));
        to.unit = word(32)?;
        to.files.read(table, files, length);
        to.lines.read(table, lines, length);
        let list = table.layout.function;
        let has_calls = tables > INLINED_CALLS;
        let calls = has_calls.then(|| word(list + 4 * INLINED_CALLS)).flatten();
        to.calls.read(table, calls.unwrap_or(0), length);
        let data = *entry.get(table.layout.function as usize - 1)?;
        let has_tree = u64::from(data) > INLINED_TREE;
        let tree = has_tree.then(|| word(list + 4 * (tables + INLINED_TREE)));
        to.tree = tree.flatten().filter(|tree| *tree != u32::MAX);
        Some(())
    }

    /// The frames at an offset in a function, the outermost first.
    fn frames(&mut self, of: &mut Function, offset: u64) {
        let (size, name, position) = self.table.layout.call;
        of.frames.clear();
        let mut at = offset;
        while of.frames.len() < INLINED_MAX {
            let call = of.calls.at(at).and_then(|call| u32::try_from(call).ok());
            let file = of.files.at(at).unwrap_or(-1);
            let mut frame = SymbolFrame {
                function: of.name,
                file: self.path(of.unit, file),
                line: of.lines.at(at).map_or(0, |line| line.max(0) as u32),
            };
            let Some(call) = call else {
                of.frames.push(frame);
                break;
            };
            let start = of.tree.map(|tree| u64::from(tree) + u64::from(call) * size);
            let word = |at: u64| u32_at(self.table.data, start?.checked_add(at)?);
            let inlined = word(name).zip(word(position));
            let inlined = inlined.and_then(|(name, position)| Some((self.name(name)?, position)));
            let Some((function, position)) = inlined else {
                // The position is in code that was inlined, of which nothing else is known.
                let own = of.files.at(0).unwrap_or(-1);
                frame.file = self.path(of.unit, own);
                frame.line = 0;
                of.frames.push(frame);
                break;
            };
            frame.function = function;
            of.frames.push(frame);
            at = position.into();
        }
        of.frames.reverse();
    }

    /// Adds the code of a function that begins at `start`.
    fn add(&mut self, start: u64, length: u64, of: &mut Function) {
        of.before.clear();
        let mut from = 0;
        let mut at = 0;
        while at < length {
            self.frames(of, at);
            if of.frames != of.before {
                if at > from {
                    self.texts.index.add(start + from, at - from, &of.before);
                }
                from = at;
                std::mem::swap(&mut of.before, &mut of.frames);
            }
            let ends = [&of.files, &of.lines, &of.calls].map(|values| {
                let index = values.0.partition_point(|(end, _)| *end <= at);
                values.0.get(index).map_or(length, |(end, _)| *end)
            });
            at = ends.into_iter().fold(length, u64::min);
        }
        self.texts
            .index
            .add(start + from, length - from, &of.before);
    }
}

/// Adds the functions that have no name yet, and returns their ranges. `free` returns the part of a range without names.
pub(super) fn add_functions(
    elf: &Elf<'_>,
    free: impl Fn(u64, u64) -> Option<(u64, u64)>,
    index: &mut Builder,
    mut after_function: impl FnMut(),
) -> Vec<(u64, u64)> {
    let mut added: Vec<(u64, u64)> = Vec::new();
    let Some(table) = Table::of(elf) else {
        return added;
    };
    let mut reader = Reader {
        table: &table,
        texts: Texts {
            index,
            left: TEXT_FACTOR * elf.data().len(),
        },
        names: FxHashMap::default(),
        paths: FxHashMap::default(),
    };
    let mut function = Function::default();
    let code = code(elf);
    let mut code = code.iter().peekable();
    let mut last = 0;
    for number in 0..table.count {
        let (Some((start, entry)), Some((end, _))) =
            (table.function(number), table.function(number + 1))
        else {
            break;
        };
        after_function();
        if reader.texts.left == 0 {
            break;
        }
        // Functions and ranges are sorted and do not overlap, so no byte of code is read twice.
        while code.next_if(|(_, high)| *high <= start).is_some() {}
        let is_code = code
            .peek()
            .is_some_and(|(low, high)| *low <= start && end <= *high);
        if start < last || !is_code {
            continue;
        }
        let Some((start, end)) = free(start, end).filter(|(low, _)| *low == start) else {
            continue;
        };
        last = end;
        if reader.read(entry, end - start, &mut function).is_some() {
            reader.add(start, end - start, &mut function);
            added.push((start, end));
        }
    }
    added
}

/// The ranges of code that are in the file, sorted and without overlaps.
fn code(elf: &Elf<'_>) -> Vec<(u64, u64)> {
    let segments = elf.segments().filter(
        |segment| matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0),
    );
    let mut ranges: Vec<(u64, u64)> = segments
        .filter_map(|segment| {
            let length = segment.data().ok()?.len() as u64;
            let end = segment.address().saturating_add(length.min(segment.size()));
            Some((segment.address(), end))
        })
        .collect();
    ranges.sort_unstable();
    let mut before = 0;
    ranges.retain(|(low, high)| {
        let is_apart = *low >= before;
        before = before.max(*high);
        is_apart
    });
    ranges
}

#[cfg(test)]
mod tests;
