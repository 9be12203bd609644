//! Reads tables. Numbers are converted to indices of the row group and checked.

use super::Dictionary;
use super::local::local;
use crate::error::{Error, Result};
use crate::format::batch::{Series, Source, Window};
use crate::format::columns::Group;
use crate::format::header::Header;
use crate::labels::Labels;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The parsed form of a text. Each distinct text is parsed once.
fn parsed_once<T>(
    known: &mut FxHashMap<String, Arc<T>>,
    text: &str,
    parse: impl Fn(&str) -> Result<Arc<T>>,
) -> Result<Arc<T>> {
    if let Some(found) = known.get(text) {
        return Ok(Arc::clone(found));
    }
    let new = parse(text)?;
    known.insert(text.to_owned(), Arc::clone(&new));
    Ok(new)
}

/// Sources and series of a row group.
pub struct SeriesTable {
    pub(super) base: i32,
    source_base: i32,
    /// Sources.
    pub sources: Vec<Source>,
    /// Series; their sources are indices into `sources`.
    pub rows: Vec<Series>,
    memory: usize,
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
            memory: 128,
        };
        let parse = |text: &str| {
            Labels::from_json(text)
                .map(Arc::new)
                .ok_or_else(|| Error::corrupt("invalid labels"))
        };
        let mut kind: Arc<str> = "".into();
        let (mut known_labels, mut known_headers) = (FxHashMap::default(), FxHashMap::default());
        for (row, source) in sources.iter().enumerate() {
            let source = source.wrapping_sub(source_base) as usize;
            if source == table.sources.len() {
                let text = source_labels.get(row)?;
                table.memory += text.len() * 4 + 128;
                table.sources.push(parse(text)?);
            } else if source > table.sources.len() {
                return Err(Error::corrupt("sources out of order"));
            }
            if &*kind != kinds.get(row)? {
                kind = kinds.get(row)?.into();
            }
            let labels = parsed_once(&mut known_labels, labels.get(row)?, parse)?;
            let header = match &headers {
                None => Arc::default(),
                Some(headers) => parsed_once(&mut known_headers, headers.get(row)?, |text| {
                    Header::from_json(text).map(Arc::new)
                })?,
            };
            table.rows.push(Series {
                source: source as u32,
                kind: Arc::clone(&kind),
                labels,
                header,
            });
        }
        // Labels are two strings each.
        let texts = known_labels.keys().chain(known_headers.keys());
        table.memory += texts.map(|text| text.len() * 4 + 128).sum::<usize>();
        table.memory += table.rows.len() * size_of::<Series>();
        Ok(table)
    }

    /// Memory, in bytes, about.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

/// Windows of a row group.
pub struct WindowTable {
    pub(super) base: i32,
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
        // Provisional objects of version 2 have no counts.
        let counts = group.has(7).then(|| group.i32(7)).transpose()?;
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
                count: counts.as_ref().map_or(1, |all| all[row] as u32),
            });
        }
        Ok(Self {
            base: numbers.first().copied().unwrap_or(0),
            rows,
        })
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> usize {
        self.rows.len() * size_of::<Window>() + 64
    }
}

/// Values of a row group. All indices are in range.
pub struct Values {
    /// Consecutive rows of the same series, by their ends.
    pub(super) runs: Vec<(u32, u32)>,
    /// Nodes of the table, see [`Dictionary::place`]; empty if they were not read.
    pub nodes: Vec<u32>,
    /// Windows; empty if the values are sums over all windows.
    pub windows: Vec<u32>,
    /// Values.
    pub values: Vec<i64>,
}

/// The second column as numbers of nodes of the table; not read without a dictionary.
pub(super) fn local_nodes(group: &Group, dictionary: Option<&Dictionary>) -> Result<Vec<u32>> {
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
        dictionary.stored_nodes(),
        "invalid node of a sample",
    )
}

/// Series and ends of the runs of equal series.
fn runs(group: &Group, series: &SeriesTable, what: &str) -> Result<Vec<(u32, u32)>> {
    let rows = local(group.i32(0)?, series.base, series.rows.len(), what)?;
    let mut end = 0;
    let runs = rows.chunk_by(|a, b| a == b).map(|run| {
        end += run.len() as u32;
        (run[0], end)
    });
    Ok(runs.collect())
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
            runs: runs(group, series, "invalid series of a sample")?,
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
            runs: runs(group, series, "invalid series of a sum")?,
            nodes: local_nodes(group, dictionary)?,
            windows: Vec::new(),
            values: group.i64(2)?,
        })
    }

    /// Reads totals by window.
    pub fn totals(group: &Group, series: &SeriesTable, windows: &WindowTable) -> Result<Self> {
        Ok(Self {
            runs: runs(group, series, "invalid series of a total")?,
            nodes: Vec::new(),
            windows: local(
                group.i32(1)?,
                windows.base,
                windows.rows.len(),
                "invalid window of a total",
            )?,
            values: group.i64(2)?,
        })
    }

    /// The rows of each series.
    pub fn runs(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let mut start = 0;
        self.runs.iter().map(move |(series, end)| {
            let range = start..*end as usize;
            start = range.end;
            (*series as usize, range)
        })
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> usize {
        self.runs.len() * 8
            + (self.nodes.len() + self.windows.len()) * 4
            + self.values.len() * 8
            + 128
    }
}
