//! The columns of each table, to and from memory.

use super::Table;
use super::batch::{Source, Window};
use super::columns::{Column, Group, Layout, Texts, Writer};
use super::order::Ordered;
use crate::error::{Error, Result};
use crate::labels::Labels;
use davy_profile::FrameKind;
use std::sync::Arc;

impl Table {
    /// The table's columns.
    pub fn columns(self) -> &'static [(&'static str, Layout)] {
        use Layout::{Delta32, Delta64, Dictionary32, Dictionary64, Text};
        match self {
            Self::Series => &[
                ("series", Delta32),
                ("source", Delta32),
                ("service", Text),
                ("type", Text),
                ("source_labels", Text),
                ("labels", Text),
            ],
            Self::Windows => &[
                ("window", Delta32),
                ("source", Delta32),
                ("id", Text),
                ("start_ms", Delta64),
                ("duration_ms", Delta64),
            ],
            Self::Frames => &[
                ("frame", Delta32),
                ("name", Text),
                ("file", Text),
                ("start_line", Delta32),
                ("line", Delta32),
                ("module", Text),
                ("build_id", Text),
                ("address", Delta64),
                ("kind", Dictionary32),
            ],
            Self::Nodes => &[("node", Delta32), ("parent", Delta32), ("frame", Delta32)],
            Self::Samples => &[
                ("series", Delta32),
                ("node", Delta32),
                ("window", Delta32),
                ("value", Dictionary64),
            ],
            Self::Sums => &[
                ("series", Delta32),
                ("node", Delta32),
                ("value", Dictionary64),
            ],
        }
    }

    /// A writer of this table.
    pub fn writer(self, level: i32) -> Result<Writer> {
        Writer::new(self.columns(), level)
    }
}

/// What the numbers of a row group begin after, so that they are unique in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bases {
    series: i32,
    sources: i32,
    windows: i32,
    frames: i32,
    nodes: i32,
}

impl Bases {
    /// The bases of the row group after one with this content.
    pub fn after(self, content: &Ordered) -> Self {
        Self {
            series: self.series + content.series.len() as i32,
            sources: self.sources + content.sources.len() as i32,
            windows: self.windows + content.windows.len() as i32,
            frames: self.frames + content.frames.len() as i32,
            nodes: self.nodes + content.parents.len() as i32,
        }
    }
}

fn numbers(base: i32, count: usize) -> Vec<i32> {
    (base..base + count as i32).collect()
}

/// Writes one table's row group.
pub fn write(table: Table, content: &Ordered, bases: Bases, writer: &mut Writer) -> Result<()> {
    // The root is number 0 in every row group; all other nodes are numbered on.
    let node = |node: u32| {
        if node == 0 {
            0
        } else {
            bases.nodes + node as i32
        }
    };
    match table {
        Table::Series => {
            let rows = &content.series;
            let column = |i: usize| content.series[i].0.source as usize;
            let sources: Vec<i32> = rows
                .iter()
                .map(|row| bases.sources + row.0.source as i32)
                .collect();
            let services: Vec<&str> = (0..rows.len())
                .map(|i| content.services[column(i)].as_str())
                .collect();
            let kinds: Vec<&str> = rows.iter().map(|row| &*row.0.kind).collect();
            let source_labels: Vec<&str> = (0..rows.len())
                .map(|i| content.sources[column(i)].as_str())
                .collect();
            let labels: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
            writer.group(&[
                Column::I32(&numbers(bases.series, rows.len())),
                Column::I32(&sources),
                Column::Text(&services),
                Column::Text(&kinds),
                Column::Text(&source_labels),
                Column::Text(&labels),
            ])
        }
        Table::Windows => {
            let rows = &content.windows;
            let sources: Vec<i32> = rows
                .iter()
                .map(|row| bases.sources + row.source as i32)
                .collect();
            let ids: Vec<String> = rows.iter().map(|row| format!("{:032x}", row.id)).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let starts: Vec<i64> = rows.iter().map(|row| row.start_ms).collect();
            let durations: Vec<i64> = rows.iter().map(|row| row.duration_ms).collect();
            writer.group(&[
                Column::I32(&numbers(bases.windows, rows.len())),
                Column::I32(&sources),
                Column::Text(&ids),
                Column::I64(&starts),
                Column::I64(&durations),
            ])
        }
        Table::Frames => {
            let rows = &content.frames;
            let text = |of: fn(&davy_profile::Frame) -> davy_profile::StringId| -> Vec<&str> {
                rows.iter()
                    .map(|row| content.strings.get(of(row)))
                    .collect()
            };
            let start_lines: Vec<i32> = rows.iter().map(|row| row.start_line as i32).collect();
            let lines: Vec<i32> = rows.iter().map(|row| row.line as i32).collect();
            let addresses: Vec<i64> = rows.iter().map(|row| row.address as i64).collect();
            let kinds: Vec<i32> = rows.iter().map(|row| row.kind as i32).collect();
            writer.group(&[
                Column::I32(&numbers(bases.frames, rows.len())),
                Column::Text(&text(|row| row.name)),
                Column::Text(&text(|row| row.file)),
                Column::I32(&start_lines),
                Column::I32(&lines),
                Column::Text(&text(|row| row.module)),
                Column::Text(&text(|row| row.build_id)),
                Column::I64(&addresses),
                Column::I32(&kinds),
            ])
        }
        Table::Nodes => {
            let parents: Vec<i32> = content
                .parents
                .iter()
                .map(|parent| node(*parent as u32))
                .collect();
            let frames: Vec<i32> = content
                .node_frames
                .iter()
                .map(|frame| bases.frames + frame)
                .collect();
            writer.group(&[
                Column::I32(&numbers(bases.nodes + 1, parents.len())),
                Column::I32(&parents),
                Column::I32(&frames),
            ])
        }
        Table::Samples => {
            let rows = &content.rows;
            let series: Vec<i32> = rows
                .iter()
                .map(|row| bases.series + row.series as i32)
                .collect();
            let nodes: Vec<i32> = rows.iter().map(|row| node(row.node)).collect();
            let windows: Vec<i32> = rows
                .iter()
                .map(|row| bases.windows + row.window as i32)
                .collect();
            let values: Vec<i64> = rows.iter().map(|row| row.value).collect();
            writer.group(&[
                Column::I32(&series),
                Column::I32(&nodes),
                Column::I32(&windows),
                Column::I64(&values),
            ])
        }
        Table::Sums => {
            let (mut series, mut nodes, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for same in content
                .rows
                .chunk_by(|a, b| (a.series, a.node) == (b.series, b.node))
            {
                series.push(bases.series + same[0].series as i32);
                nodes.push(node(same[0].node));
                values.push(
                    same.iter()
                        .fold(0i64, |sum, row| sum.saturating_add(row.value)),
                );
            }
            writer.group(&[
                Column::I32(&series),
                Column::I32(&nodes),
                Column::I64(&values),
            ])
        }
    }
}

/// Numbers counted from the row group's first; each must be below `count`.
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
    /// Sources; some may be absent from a damaged file and are then empty.
    pub sources: Vec<Source>,
    /// Source, type and labels of the samples.
    pub rows: Vec<(u32, Arc<str>, Arc<Labels>)>,
}

impl SeriesTable {
    /// Reads it.
    pub fn read(group: &Group) -> Result<Self> {
        let (numbers, sources) = (group.i32(0)?, group.i32(1)?);
        let (kinds, source_labels, labels) = (group.text(3)?, group.text(4)?, group.text(5)?);
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
                .ok_or_else(|| Error::corrupt("labels"))
        };
        let mut known: rustc_hash::FxHashMap<String, Arc<Labels>> =
            rustc_hash::FxHashMap::default();
        let mut kind: Arc<str> = "".into();
        for (row, source) in sources.iter().enumerate() {
            let source = source.wrapping_sub(source_base) as usize;
            if source == table.sources.len() {
                table.sources.push(parse(source_labels.get(row)?)?);
            } else if source > table.sources.len() {
                return Err(Error::corrupt("sources are not in order"));
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
            table.rows.push((source as u32, Arc::clone(&kind), labels));
        }
        Ok(table)
    }
}

/// Windows of a row group.
pub struct WindowTable {
    base: i32,
    /// The windows; their sources are indices into the row group's.
    pub rows: Vec<Window>,
}

impl WindowTable {
    /// Reads it.
    pub fn read(group: &Group, series: &SeriesTable) -> Result<Self> {
        let (numbers, sources, ids) = (group.i32(0)?, group.i32(1)?, group.text(2)?);
        let (starts, durations) = (group.i64(3)?, group.i64(4)?);
        let sources = local(
            sources,
            series.source_base,
            series.sources.len(),
            "a window's source",
        )?;
        let mut rows = Vec::with_capacity(sources.len());
        for (row, source) in sources.into_iter().enumerate() {
            let id = u128::from_str_radix(ids.get(row)?, 16)
                .map_err(|_| Error::corrupt("a window's id"))?;
            rows.push(Window {
                source,
                id,
                start_ms: starts[row],
                duration_ms: durations[row],
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
    /// Parents; node 0 is the root and its own parent. A parent's number is the lower one.
    pub parents: Vec<u32>,
    /// Frames of the nodes; of the root nothing.
    pub node_frames: Vec<u32>,
    names: Texts,
    files: Texts,
    modules: Texts,
    build_ids: Texts,
    start_lines: Vec<i32>,
    lines: Vec<i32>,
    addresses: Vec<i64>,
    kinds: Vec<i32>,
}

/// A frame with its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in davy_profile::Frame")]
pub struct FrameTexts<'a> {
    pub name: &'a str,
    pub file: &'a str,
    pub module: &'a str,
    pub build_id: &'a str,
    pub start_line: u32,
    pub line: u32,
    pub address: u64,
    pub kind: FrameKind,
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
                return Err(Error::corrupt("a node stands before its parent"));
            }
            local_parents.push(parent);
        }
        let mut local_frames = vec![u32::MAX];
        local_frames.extend(local(
            node_frames,
            frame_base,
            frame_numbers.len(),
            "a node's frame",
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
        })
    }

    /// How many frames there are.
    pub fn frame_count(&self) -> usize {
        self.kinds.len()
    }

    /// A frame.
    pub fn frame(&self, frame: usize) -> Result<FrameTexts<'_>> {
        Ok(FrameTexts {
            name: self.names.get(frame)?,
            file: self.files.get(frame)?,
            module: self.modules.get(frame)?,
            build_id: self.build_ids.get(frame)?,
            start_line: self.start_lines[frame] as u32,
            line: self.lines[frame] as u32,
            address: self.addresses[frame] as u64,
            kind: match self.kinds[frame] {
                1 => FrameKind::Group,
                2 => FrameKind::Cut,
                _ => FrameKind::Function,
            },
        })
    }
}

/// Values of a row group. The numbers are local ones, and all of them are in range.
pub struct Values {
    /// Series.
    pub series: Vec<u32>,
    /// Nodes.
    pub nodes: Vec<u32>,
    /// Windows; empty where the values are sums over all of them.
    pub windows: Vec<u32>,
    /// Values.
    pub values: Vec<i64>,
}

fn local_nodes(mut nodes: Vec<i32>, dictionary: Option<&Dictionary>) -> Result<Vec<u32>> {
    let Some(dictionary) = dictionary else {
        return Ok(Vec::new());
    };
    for node in &mut nodes {
        *node = if *node == 0 {
            0
        } else {
            node.wrapping_sub(dictionary.base)
        };
    }
    local(nodes, 0, dictionary.parents.len(), "a sample's node")
}

impl Values {
    /// Reads samples; without a dictionary, without their nodes.
    pub fn samples(
        group: &Group,
        series: &SeriesTable,
        windows: &WindowTable,
        dictionary: Option<&Dictionary>,
    ) -> Result<Self> {
        let nodes = if dictionary.is_some() {
            group.i32(1)?
        } else {
            Vec::new()
        };
        Ok(Self {
            series: local(
                group.i32(0)?,
                series.base,
                series.rows.len(),
                "a sample's series",
            )?,
            nodes: local_nodes(nodes, dictionary)?,
            windows: local(
                group.i32(2)?,
                windows.base,
                windows.rows.len(),
                "a sample's window",
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
        let nodes = if dictionary.is_some() {
            group.i32(1)?
        } else {
            Vec::new()
        };
        Ok(Self {
            series: local(
                group.i32(0)?,
                series.base,
                series.rows.len(),
                "a sum's series",
            )?,
            nodes: local_nodes(nodes, dictionary)?,
            windows: Vec::new(),
            values: group.i64(2)?,
        })
    }
}
