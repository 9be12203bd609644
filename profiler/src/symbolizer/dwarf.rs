//! The functions of debug information (DWARF versions 2 to 5).

use super::elf::{Reader, Symbols};
use super::function::{Flattener, Inlined};
use super::lines::{Files, Rows};
use super::names::{demangle, with_kind};
use super::split::SplitFiles;
use davy_profile::StringId;
use davy_profile::symbol_index::Builder;
use gimli::{Abbreviation, AttributeValue, Dwarf, EntriesRaw, Unit, UnitOffset};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::path::Path;

/// Maximum number of references that are followed to a name.
const REFERENCES_MAX: u32 = 16;

/// Adds all functions with code to an index, and returns their ranges. Calls `after_unit` from time to time. What
/// cannot be read is left out.
pub(super) fn add_functions<'a>(
    dwarf: &'a Dwarf<Reader<'a>>,
    path: &Path,
    symbols: &Symbols<'_>,
    index: &mut Builder,
    mut after_unit: impl FnMut(),
) -> Vec<(u64, u64)> {
    let mut indexer = Indexer {
        symbols,
        index,
        flattener: Flattener::default(),
        names: FxHashMap::default(),
        functions: Vec::new(),
        inlined: Vec::new(),
        covered: Vec::new(),
    };
    let split_files = SplitFiles::new(path);
    let source = Source::new(dwarf);
    for unit in &source.units {
        let lines = (dwarf, unit);
        // Functions up to the first error of a unit are kept.
        if unit.dwo_id.is_none() {
            let _ = indexer.add_unit(&source, unit, lines);
        } else if let Some(dwarf) = split_files.open(dwarf, unit) {
            let source = Source::of_split(&dwarf, unit);
            for unit in &source.units {
                let _ = indexer.add_unit(&source, unit, lines);
            }
        }
        after_unit();
    }
    indexer.covered
}

/// Debug information with units that refer to each other.
struct Source<'d, 'a> {
    dwarf: &'d Dwarf<Reader<'a>>,
    /// Sorted by offset.
    units: Vec<Unit<Reader<'a>>>,
    /// The name of the function at an offset in the section.
    names: RefCell<FxHashMap<usize, Option<StringId>>>,
    /// Debug information that several files share (`.gnu_debugaltlink`).
    supplementary: Option<Box<Source<'d, 'a>>>,
}

impl<'d, 'a> Source<'d, 'a> {
    fn new(dwarf: &'d Dwarf<Reader<'a>>) -> Self {
        let mut units = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            units.extend(dwarf.unit(header).ok());
        }
        Self {
            units,
            names: RefCell::default(),
            supplementary: dwarf.sup().map(|dwarf| Box::new(Self::new(dwarf))),
            dwarf,
        }
    }

    /// The debug information of one unit that is in a file of its own.
    fn of_split(dwarf: &'d Dwarf<Reader<'a>>, skeleton: &Unit<Reader<'a>>) -> Self {
        let mut source = Self::new(dwarf);
        for unit in &mut source.units {
            unit.copy_relocated_attributes(skeleton);
        }
        source
    }

    /// The unit that contains an offset of the section.
    fn unit_at(&self, offset: usize) -> Option<&Unit<Reader<'a>>> {
        let after = self.units.partition_point(|unit| start(unit) <= offset);
        self.units.get(after.checked_sub(1)?)
    }
}

/// Offset of a unit in its section.
fn start(unit: &Unit<Reader<'_>>) -> usize {
    match unit.header.debug_info_offset() {
        Some(offset) => offset.0,
        None => 0,
    }
}

/// A function with code, and the span of what is inlined into it.
struct Function {
    low: u64,
    high: u64,
    name: StringId,
    inlined: (usize, usize),
}

struct Indexer<'i, 's> {
    symbols: &'i Symbols<'s>,
    index: &'i mut Builder,
    flattener: Flattener,
    /// Ids of names by the address of the raw name, which linkers store once.
    names: FxHashMap<(usize, usize), StringId>,
    functions: Vec<Function>,
    inlined: Vec<Inlined>,
    covered: Vec<(u64, u64)>,
}

impl Indexer<'_, '_> {
    /// Adds the functions of a unit. `lines` is the unit that has the lines: if the unit is split, that is its skeleton.
    fn add_unit<'a>(
        &mut self,
        source: &Source<'_, 'a>,
        unit: &Unit<Reader<'a>>,
        lines: (&Dwarf<Reader<'a>>, &Unit<Reader<'a>>),
    ) -> gimli::Result<()> {
        self.functions.clear();
        self.inlined.clear();
        let mut files = Files::new(lines);
        let read = self.read_functions(source, unit, &mut files);
        if !self.functions.is_empty() {
            let rows = Rows::of(&mut files, self.index);
            for at in 0..self.functions.len() {
                let Function {
                    low,
                    high,
                    name,
                    inlined: (from, to),
                } = self.functions[at];
                let inlined = &mut self.inlined[from..to];
                self.flattener
                    .add((low, high), name, inlined, &rows, self.index);
                self.covered.push((low, high));
            }
        }
        read
    }

    /// Reads the functions of a unit and what is inlined into each.
    fn read_functions<'a>(
        &mut self,
        source: &Source<'_, 'a>,
        unit: &Unit<Reader<'a>>,
        files: &mut Files<'_, 'a>,
    ) -> gimli::Result<()> {
        let mut entries = unit.entries_raw(None)?;
        // Depth of the current function and its number, and the depths of what is inlined around the current entry.
        let mut current: Option<(isize, usize)> = None;
        let mut inlined_depths: Vec<isize> = Vec::new();
        let mut ranges = Vec::new();
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            while inlined_depths.last().is_some_and(|outer| *outer >= depth) {
                inlined_depths.pop();
            }
            current = current.filter(|(outer, _)| *outer < depth);
            let is_inlined = abbreviation.tag() == gimli::DW_TAG_inlined_subroutine;
            let is_function = abbreviation.tag() == gimli::DW_TAG_subprogram;
            let is_relevant = is_function || is_inlined && current.is_some();
            if !is_relevant {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let attributes = Attributes::read(source.dwarf, unit, &mut entries, abbreviation)?;
            code(source, unit, &attributes, &mut ranges);
            if ranges.is_empty() {
                // A declaration, or a function that was inlined everywhere: others may refer to its name.
                continue;
            }
            let name = self.name(source, unit, &attributes, 0);
            let name = name.unwrap_or_default();
            if is_function {
                let offset = start(unit) + offset.0;
                source.names.borrow_mut().insert(offset, Some(name));
                current = Some((depth, self.functions.len()));
                let inlined = self.inlined.len();
                for (low, high) in &ranges {
                    // The symbol table has the full name of a function with code of its own.
                    let name = match self.symbols.at(*low) {
                        Some(symbol) if attributes.is_short() => {
                            let short = text(source, unit, attributes.name);
                            let short = short.map(String::from_utf8_lossy).unwrap_or_default();
                            self.index.string(&with_kind(demangle(symbol), &short))
                        }
                        _ => name,
                    };
                    self.functions.push(Function {
                        low: *low,
                        high: *high,
                        name,
                        inlined: (inlined, inlined),
                    });
                }
                continue;
            }
            let file = files.id(attributes.call_file, self.index);
            let depth_of_inlining = inlined_depths.len() as u32;
            inlined_depths.push(depth);
            for (low, high) in &ranges {
                self.inlined.push(Inlined {
                    low: *low,
                    high: *high,
                    depth: depth_of_inlining,
                    function: name,
                    file,
                    line: u32::try_from(attributes.call_line).unwrap_or(u32::MAX),
                });
            }
            // All ranges of a function have the same list; each takes what is within it.
            let (_, first) = current.unwrap_or_default();
            for function in &mut self.functions[first..] {
                function.inlined.1 = self.inlined.len();
            }
        }
        Ok(())
    }

    /// The name of a function, by its attributes or by those of the entries that it refers to.
    fn name<'a>(
        &mut self,
        source: &Source<'_, 'a>,
        unit: &Unit<Reader<'a>>,
        attributes: &Attributes<'a>,
        references: u32,
    ) -> Option<StringId> {
        let short = text(source, unit, attributes.name);
        let linkage = text(source, unit, attributes.linkage_name);
        let Some(raw) = linkage.or(short) else {
            let origin = attributes.origin?;
            return self.name_of_origin(source, unit, origin, references);
        };
        let address = |text: Option<&[u8]>| text.map_or(0, |text| text.as_ptr() as usize);
        let key = (address(linkage), address(short));
        if let Some(id) = self.names.get(&key) {
            return Some(*id);
        }
        let name = demangle(&String::from_utf8_lossy(raw));
        let name = match (linkage, short) {
            (Some(_), Some(short)) => with_kind(name, &String::from_utf8_lossy(short)),
            _ => String::from_utf8_lossy(raw).into_owned(),
        };
        let id = self.index.string(&name);
        self.names.insert(key, id);
        Some(id)
    }

    fn name_of_origin<'a>(
        &mut self,
        source: &Source<'_, 'a>,
        unit: &Unit<Reader<'a>>,
        origin: AttributeValue<Reader<'a>>,
        references: u32,
    ) -> Option<StringId> {
        let (source, offset) = match origin {
            AttributeValue::UnitRef(offset) => (source, start(unit) + offset.0),
            AttributeValue::DebugInfoRef(offset) => (source, offset.0),
            AttributeValue::DebugInfoRefSup(offset) => (source.supplementary.as_deref()?, offset.0),
            _ => return None,
        };
        if let Some(name) = source.names.borrow().get(&offset) {
            return *name;
        }
        if references == REFERENCES_MAX {
            return None;
        }
        let unit = source.unit_at(offset)?;
        let offset_in_unit = UnitOffset(offset.checked_sub(start(unit))?);
        let mut entries = unit.entries_raw(Some(offset_in_unit)).ok()?;
        let abbreviation = entries.read_abbreviation().ok()??;
        let attributes = Attributes::read(source.dwarf, unit, &mut entries, abbreviation).ok()?;
        let name = self.name(source, unit, &attributes, references + 1);
        source.names.borrow_mut().insert(offset, name);
        name
    }
}

/// The ranges of code of a function.
fn code<'a>(
    source: &Source<'_, 'a>,
    unit: &Unit<Reader<'a>>,
    attributes: &Attributes<'a>,
    ranges: &mut Vec<(u64, u64)>,
) {
    ranges.clear();
    if let Some(value) = &attributes.ranges {
        let Ok(Some(mut all)) = source.dwarf.attr_ranges(unit, *value) else {
            return;
        };
        while let Ok(Some(range)) = all.next() {
            ranges.push((range.begin, range.end));
        }
    } else if let Some(low) = attributes.low {
        let length = attributes.length.and_then(|length| low.checked_add(length));
        ranges.extend(attributes.high.or(length).map(|high| (low, high)));
    }
    // Linkers write 0 or the highest addresses for code that they removed.
    ranges.retain(|(low, high)| *low != 0 && low < high && *high < u64::MAX - 1);
}

/// The attributes of a function.
#[derive(Default)]
struct Attributes<'a> {
    low: Option<u64>,
    high: Option<u64>,
    length: Option<u64>,
    ranges: Option<AttributeValue<Reader<'a>>>,
    name: Option<AttributeValue<Reader<'a>>>,
    linkage_name: Option<AttributeValue<Reader<'a>>>,
    origin: Option<AttributeValue<Reader<'a>>>,
    call_file: u64,
    call_line: u64,
}

impl<'a> Attributes<'a> {
    /// Reads the attributes of the current entry.
    fn read(
        dwarf: &Dwarf<Reader<'a>>,
        unit: &Unit<Reader<'a>>,
        entries: &mut EntriesRaw<'_, Reader<'a>>,
        abbreviation: &Abbreviation,
    ) -> gimli::Result<Self> {
        let mut found = Self::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let value = || attribute.value();
            match attribute.name() {
                gimli::DW_AT_low_pc => found.low = dwarf.attr_address(unit, value())?,
                gimli::DW_AT_high_pc => match attribute.udata_value() {
                    Some(length) => found.length = Some(length),
                    None => found.high = dwarf.attr_address(unit, value())?,
                },
                gimli::DW_AT_ranges => found.ranges = Some(value()),
                gimli::DW_AT_name => found.name = Some(value()),
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    found.linkage_name = Some(value());
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    found.origin = Some(value());
                }
                gimli::DW_AT_call_file => found.call_file = file_number(value()),
                gimli::DW_AT_call_line => found.call_line = attribute.udata_value().unwrap_or(0),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether the name has no path, or is not known, as in debug information that consists of line tables.
    fn is_short(&self) -> bool {
        self.linkage_name.is_none() && self.origin.is_none()
    }
}

fn text<'a>(
    source: &Source<'_, 'a>,
    unit: &Unit<Reader<'a>>,
    value: Option<AttributeValue<Reader<'a>>>,
) -> Option<&'a [u8]> {
    let text = source.dwarf.attr_string(unit, value?).ok()?;
    Some(text.slice())
}

fn file_number(value: AttributeValue<Reader<'_>>) -> u64 {
    match value {
        AttributeValue::FileIndex(number) => number,
        value => value.udata_value().unwrap_or(0),
    }
}
