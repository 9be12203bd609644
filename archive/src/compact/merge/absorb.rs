//! Puts small services into one row group.

use crate::format::batch::{Batch, Frame, FunctionTexts, Row, Series, Window};
use crate::format::spans::SpanRow;
use davy_profile::{Mapping, NodeId};

/// Adds a batch to another one that has none of its windows.
pub(super) fn absorb(to: &mut Batch, from: Batch) {
    let sources: Vec<u32> = from
        .sources
        .iter()
        .map(|source| to.source(source))
        .collect();
    let series: Vec<u32> = from
        .series
        .into_iter()
        .map(|series| {
            to.one_series(Series {
                source: sources[series.source as usize],
                ..series
            })
        })
        .collect();
    let are_days = from.totals.is_some();
    let windows: Vec<Option<u32>> = from
        .windows
        .into_iter()
        .map(|window| {
            let window = Window {
                source: sources[window.source as usize],
                ..window
            };
            if are_days {
                Some(to.another_cell(window))
            } else {
                to.window(window)
            }
        })
        .collect();
    for ((of, window), value) in from.totals.into_iter().flatten() {
        if let Some(window) = windows[window as usize] {
            let totals = to.totals.get_or_insert_default();
            totals.insert((series[of as usize], window), value);
        }
    }
    let text = |id| from.strings.get(id);
    let functions = from.functions.iter().map(|function| {
        to.function(FunctionTexts {
            name: text(function.name),
            system_name: text(function.system_name),
            file: text(function.file),
            start_line: function.start_line,
        })
    });
    let functions: Vec<u32> = functions.collect();
    let mappings = from.mappings.iter().map(|mapping| {
        to.mappings.number(Mapping {
            file: to.strings.intern(text(mapping.file)),
            build_id: to.strings.intern(text(mapping.build_id)),
            ..*mapping
        })
    });
    let mappings: Vec<u32> = mappings.collect();
    let frames: Vec<u32> = from
        .frames
        .iter()
        .map(|frame| {
            let mapping = frame.mapping.checked_sub(1);
            to.frame(Frame {
                function: functions[frame.function as usize],
                mapping: mapping.map_or(0, |at| mappings[at as usize]),
                ..*frame
            })
        })
        .collect();
    let mut nodes = vec![NodeId::ROOT; from.stacks.len()];
    for node in 1..from.stacks.len() {
        let parent = nodes[from.stacks.parents()[node] as usize];
        let frame = frames[from.stacks.items()[node] as usize];
        nodes[node] = to.stacks.child(parent, frame);
    }
    to.rows.extend(from.rows.into_iter().filter_map(|row| {
        Some(Row {
            series: series[row.series as usize],
            node: nodes[row.node as usize].0,
            window: windows[row.window as usize]?,
            value: row.value,
        })
    }));
    to.spans_left_out += from.spans_left_out;
    to.spans.extend(from.spans.into_iter().filter_map(|row| {
        Some(SpanRow {
            series: series[row.series as usize],
            node: nodes[row.node as usize].0,
            window: windows[row.window as usize]?,
            ..row
        })
    }));
}
