//! The table of values that belong to spans.

use super::local::local;
use super::read::local_nodes;
use super::{Dictionary, SeriesTable, Values, WindowTable};
use crate::error::{Error, Result};
use crate::format::columns::{Column, Group, Writer};
use crate::format::order::Ordered;
use crate::format::spans::SpanRow;
use crate::spans::{Only, SpanLink};

/// Writes a row group; `series` and `windows` are added to the numbers of those.
pub(super) fn write(
    content: &Ordered,
    (series, windows): (i32, i32),
    node: impl Fn(u32) -> i32,
    writer: &mut Writer,
) -> Result<()> {
    let rows = &content.spans;
    let number = |of: &dyn Fn(&SpanRow) -> i32| -> Vec<i32> { rows.iter().map(of).collect() };
    let series = number(&|row| series + row.series as i32);
    let nodes = number(&|row| node(row.node));
    let windows = number(&|row| windows + row.window as i32);
    let values: Vec<i64> = rows.iter().map(|row| row.value).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.time_nanos).collect();
    let traces = texts(rows, |link| link.trace, |id| format!("{id:032x}"));
    let spans = texts(rows, |link| link.span, |id| format!("{id:016x}"));
    writer.group(&[
        Column::I32(&series),
        Column::I32(&nodes),
        Column::I32(&windows),
        Column::I64(&values),
        Column::I64(&times),
        Column::Text(&views(&traces)),
        Column::Text(&views(&spans)),
    ])
}

/// The texts of ids with the number of consecutive rows of each.
fn texts<T: PartialEq>(
    rows: &[SpanRow],
    id: impl Fn(SpanLink) -> T,
    text: impl Fn(T) -> String,
) -> Vec<(String, usize)> {
    let runs = rows.chunk_by(|a, b| id(a.link) == id(b.link));
    runs.map(|run| (text(id(run[0].link)), run.len())).collect()
}

fn views(texts: &[(String, usize)]) -> Vec<&str> {
    let runs = texts.iter();
    runs.flat_map(|(text, count)| std::iter::repeat_n(text.as_str(), *count))
        .collect()
}

/// Rows of a row group. All indices are in range.
pub struct SpanTable {
    /// The rows, sorted by series.
    pub rows: Vec<SpanRow>,
}

impl SpanTable {
    /// Reads the rows of the spans and traces that `only` selects, all if it selects none. Without a dictionary their
    /// nodes are 0.
    pub fn read(
        group: &Group,
        series: &SeriesTable,
        windows: &WindowTable,
        dictionary: Option<&Dictionary>,
        only: &Only,
    ) -> Result<Self> {
        let what = "invalid series of a span";
        let of_series = local(group.i32(0)?, series.base, series.rows.len(), what)?;
        let nodes = local_nodes(group, dictionary)?;
        let what = "invalid window of a span";
        let of_windows = local(group.i32(2)?, windows.base, windows.rows.len(), what)?;
        let (values, times) = (group.i64(3)?, group.i64(4)?);
        let (traces, spans) = (group.text(5)?, group.text(6)?);
        let mut rows = Vec::new();
        // Rows are sorted by trace and span, so most have the ids of the row before.
        let mut last: Option<(&str, &str, SpanLink, bool)> = None;
        for (row, value) in values.iter().enumerate() {
            let (trace, span) = (traces.get(row)?, spans.get(row)?);
            let (link, is_selected) = match last {
                Some((last_trace, last_span, link, is_selected))
                    if (last_trace, last_span) == (trace, span) =>
                {
                    (link, is_selected)
                }
                _ => {
                    let link = parse(trace, span)?;
                    (link, only.selects_span(link))
                }
            };
            last = Some((trace, span, link, is_selected));
            if is_selected {
                rows.push(SpanRow {
                    series: of_series[row],
                    node: nodes.get(row).copied().unwrap_or(0),
                    window: of_windows[row],
                    value: *value,
                    time_nanos: times[row],
                    link,
                });
            }
        }
        rows.sort_by_key(|row| row.series);
        Ok(Self { rows })
    }

    /// The values of the rows.
    pub fn values(&self) -> Values {
        Values {
            runs: {
                let mut end = 0;
                let runs = self.rows.chunk_by(|a, b| a.series == b.series);
                runs.map(|run| {
                    end += run.len() as u32;
                    (run[0].series, end)
                })
                .collect()
            },
            nodes: self.rows.iter().map(|row| row.node).collect(),
            windows: self.rows.iter().map(|row| row.window).collect(),
            values: self.rows.iter().map(|row| row.value).collect(),
        }
    }
}

fn parse(trace: &str, span: &str) -> Result<SpanLink> {
    let invalid = |_| Error::corrupt("invalid id of a span");
    Ok(SpanLink {
        trace: u128::from_str_radix(trace, 16).map_err(invalid)?,
        span: u64::from_str_radix(span, 16).map_err(invalid)?,
    })
}
