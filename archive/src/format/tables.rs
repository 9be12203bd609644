//! The columns of each table, and their encoding.

mod dictionary;
mod flags;
mod local;
mod naming;
mod read;
mod spans;

pub use dictionary::{BatchFrames, Dictionary, FunctionKey, StackTables, TreeFrames, Unnamed};
pub use naming::Names;
pub use read::{SeriesTable, Values, WindowTable};
pub use spans::SpanTable;

use super::Table;
use super::batch::{Frame, Function};
use super::columns::{Column, Layout, Writer};
use super::order::Ordered;
use crate::error::Result;
use davy_profile::{Mapping, StringId};

impl Table {
    /// Columns of the table.
    pub fn columns(self) -> &'static [(&'static str, Layout)] {
        use Layout::{Delta32, Delta64, Dictionary32, Dictionary64, Distinct, Plain32, Text};
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
                ("id", Distinct),
                ("start_ms", Delta64),
                ("duration_ms", Delta64),
                ("time_nanos", Delta64),
                ("duration_nanos", Delta64),
                ("count", Dictionary32),
            ],
            Self::Mappings => &[
                ("mapping", Delta32),
                ("file", Text),
                ("build_id", Text),
                ("start", Delta64),
                ("limit", Delta64),
                ("file_offset", Delta64),
                ("flags", Dictionary32),
            ],
            Self::Functions => &[
                ("function", Delta32),
                ("name", Distinct),
                ("system_name", Text),
                ("file", Text),
                ("start_line", Delta32),
            ],
            Self::Frames => &[
                ("frame", Delta32),
                ("function", Delta32),
                ("line", Dictionary32),
                ("column", Delta32),
                ("mapping", Dictionary32),
                ("address", Delta64),
                ("flags", Dictionary32),
            ],
            Self::Nodes => &[("node", Delta32), ("distance", Plain32), ("frame", Delta32)],
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
            Self::Totals => &[("series", Delta32), ("window", Delta32), ("value", Delta64)],
            Self::Spans => &[
                ("series", Dictionary32),
                ("node", Delta32),
                ("window", Delta32),
                ("value", Dictionary64),
                ("time_nanos", Delta64),
                ("trace_id", Text),
                ("span_id", Distinct),
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
    mappings: i32,
    functions: i32,
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
            mappings: self.mappings + content.mappings.len() as i32,
            functions: self.functions + content.functions.len() as i32,
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
            let headers: Vec<String> = rows.iter().map(|row| row.0.header.to_json()).collect();
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
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
            let counts: Vec<i32> = rows.iter().map(|row| row.count as i32).collect();
            writer.group(&[
                Column::I32(&numbers(bases.windows, rows.len())),
                Column::I32(&sources),
                Column::Text(&ids),
                Column::I64(&starts),
                Column::I64(&durations),
                Column::I64(&times),
                Column::I64(&exact_durations),
                Column::I32(&counts),
            ])
        }
        Table::Mappings => {
            let rows = &content.mappings;
            let text = |of: fn(&Mapping) -> StringId| -> Vec<&str> {
                let ids = rows.iter().map(of);
                ids.map(|id| content.strings.get(id)).collect()
            };
            let number = |of: fn(&Mapping) -> u64| -> Vec<i64> {
                rows.iter().map(|row| of(row) as i64).collect()
            };
            let flags: Vec<i32> = rows.iter().map(flags::of_mapping).collect();
            writer.group(&[
                Column::I32(&numbers(bases.mappings + 1, rows.len())),
                Column::Text(&text(|row| row.file)),
                Column::Text(&text(|row| row.build_id)),
                Column::I64(&number(|row| row.start)),
                Column::I64(&number(|row| row.limit)),
                Column::I64(&number(|row| row.file_offset)),
                Column::I32(&flags),
            ])
        }
        Table::Functions => {
            let rows = &content.functions;
            let text = |of: fn(&Function) -> StringId| -> Vec<&str> {
                let ids = rows.iter().map(of);
                ids.map(|id| content.strings.get(id)).collect()
            };
            let start_lines: Vec<i32> = rows.iter().map(|row| row.start_line as i32).collect();
            writer.group(&[
                Column::I32(&numbers(bases.functions, rows.len())),
                Column::Text(&text(|row| row.name)),
                Column::Text(&text(|row| row.system_name)),
                Column::Text(&text(|row| row.file)),
                Column::I32(&start_lines),
            ])
        }
        Table::Frames => {
            let rows = &content.frames;
            let number = |of: fn(&Frame) -> u32| -> Vec<i32> {
                rows.iter().map(|row| of(row) as i32).collect()
            };
            let functions: Vec<i32> = rows
                .iter()
                .map(|row| bases.functions + row.function as i32)
                .collect();
            let mappings: Vec<i32> = rows
                .iter()
                .map(|row| match row.mapping {
                    0 => 0,
                    number => bases.mappings + number as i32,
                })
                .collect();
            let addresses: Vec<i64> = rows.iter().map(|row| row.address as i64).collect();
            let flags: Vec<i32> = rows.iter().map(flags::of_frame).collect();
            writer.group(&[
                Column::I32(&numbers(bases.frames, rows.len())),
                Column::I32(&functions),
                Column::I32(&number(|row| row.line)),
                Column::I32(&number(|row| row.column)),
                Column::I32(&mappings),
                Column::I64(&addresses),
                Column::I32(&flags),
            ])
        }
        Table::Nodes => {
            let distances: Vec<i32> = (1..)
                .zip(&content.parents)
                .map(|(node, parent)| if *parent == 0 { 0 } else { node - parent })
                .collect();
            let frames: Vec<i32> = content
                .node_frames
                .iter()
                .map(|frame| bases.frames + frame)
                .collect();
            writer.group(&[
                Column::I32(&numbers(bases.nodes + 1, distances.len())),
                Column::I32(&distances),
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
        Table::Totals => {
            let (mut series, mut windows, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for (of, window, value) in content.totals.iter().flatten() {
                series.push(bases.series + *of as i32);
                windows.push(bases.windows + *window as i32);
                values.push(*value);
            }
            let mut sums = vec![0i64; content.windows.len()];
            let rows = match &content.totals {
                Some(_) => &[],
                None => content.rows.as_slice(),
            };
            for same in rows.chunk_by(|a, b| a.series == b.series) {
                for row in same {
                    let sum = &mut sums[row.window as usize];
                    *sum = sum.saturating_add(row.value);
                }
                let source = content.series[same[0].series as usize].0.source;
                // Windows are sorted by source.
                let first = content.windows.partition_point(|of| of.source < source);
                let of_source = content.windows[first..].iter();
                let count = of_source.take_while(|of| of.source == source).count();
                for (window, sum) in sums.iter_mut().enumerate().skip(first).take(count) {
                    if *sum != 0 {
                        series.push(bases.series + same[0].series as i32);
                        windows.push(bases.windows + window as i32);
                        values.push(std::mem::take(sum));
                    }
                }
            }
            writer.group(&[
                Column::I32(&series),
                Column::I32(&windows),
                Column::I64(&values),
            ])
        }
        Table::Spans => spans::write(content, (bases.series, bases.windows), node, writer),
    }
}
