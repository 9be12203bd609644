//! The columns of each table, and their encoding.

mod flags;
mod read;

pub use read::{Dictionary, Frames, SeriesTable, Values, WindowTable};

use super::Table;
use super::columns::{Column, Layout, Writer};
use super::order::Ordered;
use crate::error::Result;
use davy_profile::{Frame, Mapping, StringId};

impl Table {
    /// Columns of the table.
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
                ("header", Text),
            ],
            Self::Windows => &[
                ("window", Delta32),
                ("source", Delta32),
                ("id", Text),
                ("start_ms", Delta64),
                ("duration_ms", Delta64),
                ("time_nanos", Delta64),
                ("duration_nanos", Delta64),
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
                ("system_name", Text),
                ("column", Delta32),
                ("flags", Dictionary32),
                ("map_start", Dictionary64),
                ("map_limit", Dictionary64),
                ("map_offset", Dictionary64),
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

/// Offsets of the numbers of a row group, which make them unique in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bases {
    series: i32,
    sources: i32,
    windows: i32,
    frames: i32,
    nodes: i32,
}

impl Bases {
    /// The offsets of the next row group, after one with this content.
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
    // The root is number 0 in every row group; all other nodes are numbered consecutively across
    // row groups.
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
            let headers: Vec<&str> = rows.iter().map(|row| &*row.0.header).collect();
            writer.group(&[
                Column::I32(&numbers(bases.series, rows.len())),
                Column::I32(&sources),
                Column::Text(&services),
                Column::Text(&kinds),
                Column::Text(&source_labels),
                Column::Text(&labels),
                Column::Text(&headers),
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
            let times: Vec<i64> = rows.iter().map(|row| row.time_nanos).collect();
            let exact_durations: Vec<i64> = rows.iter().map(|row| row.duration_nanos).collect();
            writer.group(&[
                Column::I32(&numbers(bases.windows, rows.len())),
                Column::I32(&sources),
                Column::Text(&ids),
                Column::I64(&starts),
                Column::I64(&durations),
                Column::I64(&times),
                Column::I64(&exact_durations),
            ])
        }
        Table::Frames => {
            let rows = &content.frames;
            let text = |of: fn(&Frame) -> StringId| -> Vec<&str> {
                rows.iter()
                    .map(|row| content.strings.get(of(row)))
                    .collect()
            };
            let mapping = |row: &Frame| match row.mapping.checked_sub(1) {
                Some(at) => content.mappings[at as usize],
                None => Mapping::default(),
            };
            let mapped = |of: fn(&Mapping) -> StringId| -> Vec<&str> {
                rows.iter()
                    .map(|row| content.strings.get(of(&mapping(row))))
                    .collect()
            };
            let numbers32 = |of: fn(&Frame) -> u32| -> Vec<i32> {
                rows.iter().map(|row| of(row) as i32).collect()
            };
            let map_numbers = |of: fn(&Mapping) -> u64| -> Vec<i64> {
                rows.iter().map(|row| of(&mapping(row)) as i64).collect()
            };
            let addresses: Vec<i64> = rows.iter().map(|row| row.address as i64).collect();
            let flags: Vec<i32> = rows
                .iter()
                .map(|row| flags::of(row, &mapping(row)))
                .collect();
            writer.group(&[
                Column::I32(&numbers(bases.frames, rows.len())),
                Column::Text(&text(|row| row.name)),
                Column::Text(&text(|row| row.file)),
                Column::I32(&numbers32(|row| row.start_line)),
                Column::I32(&numbers32(|row| row.line)),
                Column::Text(&mapped(|mapping| mapping.file)),
                Column::Text(&mapped(|mapping| mapping.build_id)),
                Column::I64(&addresses),
                Column::I32(&numbers32(|row| row.kind as u32)),
                Column::Text(&text(|row| row.system_name)),
                Column::I32(&numbers32(|row| row.column)),
                Column::I32(&flags),
                Column::I64(&map_numbers(|mapping| mapping.start)),
                Column::I64(&map_numbers(|mapping| mapping.limit)),
                Column::I64(&map_numbers(|mapping| mapping.file_offset)),
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
