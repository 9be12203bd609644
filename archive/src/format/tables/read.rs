//! Reads tables. Numbers are converted to indices of the row group and checked.

use super::flags;
use crate::error::{Error, Result};
use crate::format::batch::{Series, Source, Window};
use crate::format::columns::{Group, Texts};
use crate::labels::Labels;
use davy_profile::{FlameTree, Frame, FrameKind, Mapping, StringId};
use std::sync::Arc;

/// Numbers relative to the first one of the row group; each must be below `count`.
fn local(numbers: Vec<i32>, base: i32, count: usize, what: &str) -> Result<Vec<u32>> {
    numbers
        .into_iter()
        .map(|number| {
            let number = number.wrapping_sub(base) as u32;
            if (number as usize) < count {
                Ok(number)
            } else {
                Err(Error::corrupt(what))
            }
        })
        .collect()
}

/// Sources and series of a row group.
pub struct SeriesTable {
    base: i32,
    source_base: i32,
    /// Sources.
    pub sources: Vec<Source>,
    /// Series; their sources are indices into `sources`.
    pub rows: Vec<Series>,
}

impl SeriesTable {
    /// Reads the table.
    pub fn read(group: &Group) -> Result<Self> {
        let (numbers, sources) = (group.i32(0)?, group.i32(1)?);
        let (kinds, source_labels, labels) = (group.text(3)?, group.text(4)?, group.text(5)?);
        // Version 1 has no headers.
        let headers = group.has(6).then(|| group.text(6)).transpose()?;
        let base = numbers.first().copied().unwrap_or(0);
        let source_base = sources.iter().copied().min().unwrap_or(0);
        let mut table = Self {
            base,
            source_base,
            sources: Vec::new(),
            rows: Vec::with_capacity(numbers.len()),
        };
        let parse = |text: &str| {
            Labels::from_json(text)
                .map(Arc::new)
                .ok_or_else(|| Error::corrupt("invalid labels"))
        };
        let mut known: rustc_hash::FxHashMap<String, Arc<Labels>> =
            rustc_hash::FxHashMap::default();
        let (mut kind, mut header): (Arc<str>, Arc<str>) = ("".into(), "".into());
        for (row, source) in sources.iter().enumerate() {
            let source = source.wrapping_sub(source_base) as usize;
            if source == table.sources.len() {
                table.sources.push(parse(source_labels.get(row)?)?);
            } else if source > table.sources.len() {
                return Err(Error::corrupt("sources out of order"));
            }
            if &*kind != kinds.get(row)? {
                kind = kinds.get(row)?.into();
            }
            let text = labels.get(row)?;
            let labels = if let Some(found) = known.get(text) {
                Arc::clone(found)
            } else {
                let new = parse(text)?;
                known.insert(text.to_owned(), Arc::clone(&new));
                new
            };
            if let Some(headers) = &headers
                && &*header != headers.get(row)?
            {
                header = headers.get(row)?.into();
            }
            table.rows.push(Series {
                source: source as u32,
                kind: Arc::clone(&kind),
                labels,
                header: Arc::clone(&header),
            });
        }
        Ok(table)
    }
}

/// Windows of a row group.
pub struct WindowTable {
    base: i32,
    /// The windows; their sources are indices into those of the row group.
    pub rows: Vec<Window>,
}

impl WindowTable {
    /// Reads the table.
    pub fn read(group: &Group, series: &SeriesTable) -> Result<Self> {
        let (numbers, sources, ids) = (group.i32(0)?, group.i32(1)?, group.text(2)?);
        let (starts, durations) = (group.i64(3)?, group.i64(4)?);
        // Version 1 has milliseconds only.
        let exact = |column| group.has(column).then(|| group.i64(column)).transpose();
        let (times, exact_durations) = (exact(5)?, exact(6)?);
        let number =
            |column: &Option<Vec<i64>>, row: usize| column.as_ref().map_or(0, |all| all[row]);
        let sources = local(
            sources,
            series.source_base,
            series.sources.len(),
            "invalid source of a window",
        )?;
        let mut rows = Vec::with_capacity(sources.len());
        for (row, source) in sources.into_iter().enumerate() {
            let id = u128::from_str_radix(ids.get(row)?, 16)
                .map_err(|_| Error::corrupt("invalid id of a window"))?;
            rows.push(Window {
                source,
                id,
                start_ms: starts[row],
                duration_ms: durations[row],
                time_nanos: number(&times, row),
                duration_nanos: number(&exact_durations, row),
            });
        }
        Ok(Self {
            base: numbers.first().copied().unwrap_or(0),
            rows,
        })
    }
}

/// Stacks and frames of a row group.
pub struct Dictionary {
    base: i32,
    /// Parents. Node 0 is the root and its own parent; the index of a parent is lower than that of its
    /// children.
    pub parents: Vec<u32>,
    /// Frames of the nodes; meaningless for the root.
    pub node_frames: Vec<u32>,
    names: Texts,
    files: Texts,
    modules: Texts,
    build_ids: Texts,
    start_lines: Vec<i32>,
    lines: Vec<i32>,
    addresses: Vec<i64>,
    kinds: Vec<i32>,
    details: Option<Details>,
}

/// Columns that version 1 does not have.
struct Details {
    system_names: Texts,
    columns: Vec<i32>,
    flags: Vec<i32>,
    map_starts: Vec<i64>,
    map_limits: Vec<i64>,
    map_offsets: Vec<i64>,
}

impl Details {
    fn read(frames: &Group) -> Result<Self> {
        Ok(Self {
            system_names: frames.text(9)?,
            columns: frames.i32(10)?,
            flags: frames.i32(11)?,
            map_starts: frames.i64(12)?,
            map_limits: frames.i64(13)?,
            map_offsets: frames.i64(14)?,
        })
    }
}

impl Dictionary {
    /// Reads both tables.
    pub fn read(nodes: &Group, frames: &Group) -> Result<Self> {
        let (numbers, parents, node_frames) = (nodes.i32(0)?, nodes.i32(1)?, nodes.i32(2)?);
        let frame_numbers = frames.i32(0)?;
        let base = numbers.first().map_or(0, |first| first - 1);
        let frame_base = frame_numbers.first().copied().unwrap_or(0);
        let mut local_parents = Vec::with_capacity(parents.len() + 1);
        local_parents.push(0);
        for (row, parent) in parents.iter().enumerate() {
            let parent = if *parent == 0 {
                0
            } else {
                parent.wrapping_sub(base) as u32
            };
            if parent as usize > row {
                return Err(Error::corrupt("node before its parent"));
            }
            local_parents.push(parent);
        }
        let mut local_frames = vec![u32::MAX];
        local_frames.extend(local(
            node_frames,
            frame_base,
            frame_numbers.len(),
            "invalid frame of a node",
        )?);
        Ok(Self {
            base,
            parents: local_parents,
            node_frames: local_frames,
            names: frames.text(1)?,
            files: frames.text(2)?,
            start_lines: frames.i32(3)?,
            lines: frames.i32(4)?,
            modules: frames.text(5)?,
            build_ids: frames.text(6)?,
            addresses: frames.i64(7)?,
            kinds: frames.i32(8)?,
            details: frames.has(9).then(|| Details::read(frames)).transpose()?,
        })
    }

    /// Number of frames.
    pub fn frame_count(&self) -> usize {
        self.kinds.len()
    }

    fn kind(&self, frame: usize) -> FrameKind {
        match self.kinds[frame] {
            1 => FrameKind::Group,
            2 => FrameKind::Cut,
            _ => FrameKind::Function,
        }
    }
}

/// Converts frames of a dictionary to those of a tree. Each text is looked up once.
pub struct Frames<'a> {
    dictionary: &'a Dictionary,
    names: Vec<Option<StringId>>,
    system_names: Vec<Option<StringId>>,
    files: Vec<Option<StringId>>,
    modules: Vec<Option<StringId>>,
    build_ids: Vec<Option<StringId>>,
}

impl<'a> Frames<'a> {
    /// A converter for this dictionary.
    pub fn of(dictionary: &'a Dictionary) -> Self {
        let unknown =
            |texts: &Texts| vec![None; texts.runs().last().map_or(0, |run| *run as usize + 1)];
        Self {
            names: unknown(&dictionary.names),
            system_names: dictionary
                .details
                .as_ref()
                .map_or_else(Vec::new, |details| unknown(&details.system_names)),
            files: unknown(&dictionary.files),
            modules: unknown(&dictionary.modules),
            build_ids: unknown(&dictionary.build_ids),
            dictionary,
        }
    }

    /// A frame with its texts and its mapping in `tree`, which must be the same in every call.
    pub fn frame(&mut self, frame: usize, tree: &mut FlameTree) -> Result<Frame> {
        let of = self.dictionary;
        let mut text = |texts: &Texts, known: &mut Vec<Option<StringId>>| -> Result<StringId> {
            let run = texts.runs().get(frame).map(|run| &mut known[*run as usize]);
            let run = run.ok_or_else(|| Error::corrupt("missing text"))?;
            if let Some(known) = run {
                return Ok(*known);
            }
            Ok(*run.insert(tree.strings.intern(texts.get(frame)?)))
        };
        let mut result = Frame {
            name: text(&of.names, &mut self.names)?,
            file: text(&of.files, &mut self.files)?,
            start_line: of.start_lines[frame] as u32,
            line: of.lines[frame] as u32,
            address: of.addresses[frame] as u64,
            kind: of.kind(frame),
            ..Frame::default()
        };
        let mut mapping = Mapping {
            file: text(&of.modules, &mut self.modules)?,
            build_id: text(&of.build_ids, &mut self.build_ids)?,
            ..Mapping::default()
        };
        let is_mapped = if let Some(details) = &of.details {
            result.system_name = text(&details.system_names, &mut self.system_names)?;
            result.column = details.columns[frame] as u32;
            mapping.start = details.map_starts[frame] as u64;
            mapping.limit = details.map_limits[frame] as u64;
            mapping.file_offset = details.map_offsets[frame] as u64;
            flags::apply(details.flags[frame], &mut result, &mut mapping)
        } else {
            mapping != Mapping::default()
        };
        if is_mapped {
            result.mapping = tree.mapping(mapping);
        }
        Ok(result)
    }
}

/// Values of a row group. All indices are in range.
pub struct Values {
    /// Series.
    pub series: Vec<u32>,
    /// Nodes.
    pub nodes: Vec<u32>,
    /// Windows; empty if the values are sums over all windows.
    pub windows: Vec<u32>,
    /// Values.
    pub values: Vec<i64>,
}

/// The second column as indices into the dictionary; not read without a dictionary.
fn local_nodes(group: &Group, dictionary: Option<&Dictionary>) -> Result<Vec<u32>> {
    let Some(dictionary) = dictionary else {
        return Ok(Vec::new());
    };
    let mut nodes = group.i32(1)?;
    for node in &mut nodes {
        *node = if *node == 0 {
            0
        } else {
            node.wrapping_sub(dictionary.base)
        };
    }
    local(
        nodes,
        0,
        dictionary.parents.len(),
        "invalid node of a sample",
    )
}

impl Values {
    /// Reads samples; without a dictionary their nodes are not read.
    pub fn samples(
        group: &Group,
        series: &SeriesTable,
        windows: &WindowTable,
        dictionary: Option<&Dictionary>,
    ) -> Result<Self> {
        Ok(Self {
            series: local(
                group.i32(0)?,
                series.base,
                series.rows.len(),
                "invalid series of a sample",
            )?,
            nodes: local_nodes(group, dictionary)?,
            windows: local(
                group.i32(2)?,
                windows.base,
                windows.rows.len(),
                "invalid window of a sample",
            )?,
            values: group.i64(3)?,
        })
    }

    /// Reads sums.
    pub fn sums(
        group: &Group,
        series: &SeriesTable,
        dictionary: Option<&Dictionary>,
    ) -> Result<Self> {
        Ok(Self {
            series: local(
                group.i32(0)?,
                series.base,
                series.rows.len(),
                "invalid series of a sum",
            )?,
            nodes: local_nodes(group, dictionary)?,
            windows: Vec::new(),
            values: group.i64(2)?,
        })
    }
}
