//! The lines and source files of a compilation unit.

use super::elf::Reader;
use davy_profile::StringId;
use davy_profile::symbol_index::Builder;
use gimli::{Dwarf, Unit};

/// Maximum number of source files of a unit whose paths are cached.
const FILES_MAX: usize = 1 << 20;
/// Marks the end of a sequence of rows.
const END: StringId = StringId(u32::MAX);

/// The source files of a unit, by their number in it.
pub(super) struct Files<'u, 'a> {
    dwarf: &'u Dwarf<Reader<'a>>,
    unit: &'u Unit<Reader<'a>>,
    ids: Vec<Option<StringId>>,
}

impl<'u, 'a> Files<'u, 'a> {
    pub(super) fn new((dwarf, unit): (&'u Dwarf<Reader<'a>>, &'u Unit<Reader<'a>>)) -> Self {
        Self {
            dwarf,
            unit,
            ids: Vec::new(),
        }
    }

    /// The path of a file.
    pub(super) fn id(&mut self, number: u64, index: &mut Builder) -> StringId {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(Some(id)) = self.ids.get(at) {
            return *id;
        }
        let path = self.path(number).unwrap_or_default();
        let id = index.string(&path);
        // Numbers are dense; one that is not in the table is not cached.
        if at < FILES_MAX && !path.is_empty() {
            if at >= self.ids.len() {
                self.ids.resize(at + 1, None);
            }
            self.ids[at] = Some(id);
        }
        id
    }

    fn path(&self, number: u64) -> Option<String> {
        let header = self.unit.line_program.as_ref()?.header();
        let file = header.file(number)?;
        let text = |value| {
            let text = self.dwarf.attr_string(self.unit, value).ok()?;
            Some(text.to_string_lossy().into_owned())
        };
        let folder = self.unit.comp_dir.as_ref();
        let mut path = folder.map_or(String::new(), |text| text.to_string_lossy().into_owned());
        // Folder 0 is that of the compilation.
        if file.directory_index() != 0
            && let Some(folder) = file.directory(header).and_then(text)
        {
            push(&mut path, &folder);
        }
        push(&mut path, &text(file.path_name())?);
        Some(path)
    }
}

/// Appends a path, or replaces the one before if it is absolute.
fn push(path: &mut String, further: &str) {
    if further.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(further);
}

/// A line of the source, from an address on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) address: u64,
    pub(super) file: StringId,
    pub(super) line: u32,
}

/// The rows of a unit, sorted by address.
#[derive(Default)]
pub(super) struct Rows(Vec<Row>);

impl Rows {
    /// Runs the line program of a unit. Rows up to the first error are kept.
    pub(super) fn of(files: &mut Files<'_, '_>, index: &mut Builder) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        let Some(program) = files.unit.line_program.clone() else {
            return Self(rows);
        };
        let mut program = program.rows();
        while let Ok(Some((_, row))) = program.next_row() {
            let address = row.address();
            let (file, line) = if row.end_sequence() {
                (END, 0)
            } else {
                let line = row.line().map_or(0, std::num::NonZero::get);
                let file = files.id(row.file_index(), index);
                (file, u32::try_from(line).unwrap_or(u32::MAX))
            };
            let row = Row {
                address,
                file,
                line,
            };
            match rows.last_mut() {
                // The last of several rows at an address counts.
                Some(last) if last.address == address && last.file != END => *last = row,
                Some(last) if last.file == file && last.line == line => {}
                _ => rows.push(row),
            }
        }
        if !rows.is_sorted_by_key(|row| row.address) {
            // Stable: where a sequence starts at the end of another one, the start comes last.
            rows.sort_by_key(|row| (row.address, row.file != END));
        }
        Self(rows)
    }

    /// The rows from the one that holds `start` up to `end`. The first one begins at `start`.
    pub(super) fn between(&self, start: u64, end: u64) -> impl Iterator<Item = Row> {
        let first = self.0.partition_point(|row| row.address <= start);
        let own = first.checked_sub(1).and_then(|at| self.0.get(at));
        let own = own.copied().unwrap_or(Row {
            address: start,
            file: END,
            line: 0,
        });
        let own = Row {
            address: start,
            ..own
        };
        let rest = self.0[first..].iter().copied();
        let rest = rest.take_while(move |row| row.address < end);
        std::iter::once(own).chain(rest).map(|row| match row.file {
            END => Row {
                file: StringId(0),
                line: 0,
                ..row
            },
            _ => row,
        })
    }
}
