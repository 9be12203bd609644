//! The canonical order of a batch: the same content gives the same bytes, in whatever order it was
//! added.
//!
//! Frames are sorted by their addresses, and functions by those of their frames: addresses grow slowly, and
//! functions of a module are neighbours. Nodes are in preorder with siblings in the order of their
//! frames, so a parent precedes its children and a subtree is a range. Sources, series and windows are
//! sorted, and rows by (series, node, window): columns grow slowly, so their differences are small.

use super::batch::{Batch, Frame, Function, Row, Series, Window};
use super::spans::{self, SpanRow};
use davy_profile::flame::MappingTable;
use davy_profile::{Mapping, StringTable};

/// A batch in canonical order.
#[derive(Debug)]
pub struct Ordered {
    /// Canonical texts of the labels of the sources.
    pub sources: Vec<String>,
    /// Services of the sources.
    pub services: Vec<String>,
    /// Series with the canonical texts of their labels.
    pub series: Vec<(Series, String)>,
    /// Windows.
    pub windows: Vec<Window>,
    /// Strings of functions and mappings.
    pub strings: StringTable,
    /// Mappings.
    pub mappings: Vec<Mapping>,
    /// Functions.
    pub functions: Vec<Function>,
    /// Frames.
    pub frames: Vec<Frame>,
    /// Parents of the nodes; index `i` is that of node `i + 1`, node 0 is the root.
    pub parents: Vec<i32>,
    /// Frames of the nodes.
    pub node_frames: Vec<i32>,
    /// Rows with distinct keys and values other than 0.
    pub rows: Vec<Row>,
    /// Sums by series and window, sorted, if they do not follow from the rows.
    pub totals: Option<Vec<(u32, u32, i64)>>,
    /// Rows of spans, sorted by trace and span.
    pub spans: Vec<SpanRow>,
    /// Number of rows of spans that were left out.
    pub spans_left_out: usize,
}

/// The sorting permutation: `(order, rank)` with `order[new] = old` and `rank[old] = new`.
fn permutation<K: Ord>(count: usize, key: impl Fn(usize) -> K) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by_key(|index| key(*index as usize));
    with_rank(order)
}

/// A permutation and its inverse.
fn with_rank(order: Vec<u32>) -> (Vec<u32>, Vec<u32>) {
    let rank = inverse(&order);
    (order, rank)
}

/// The permutation that sorts by mapping and address, equal ones in their order.
fn by_place(places: impl Iterator<Item = (u32, u64)>) -> (Vec<u32>, Vec<u32>) {
    // The whole key in one number, because to look into the entries takes longer than to compare.
    let mut keys: Vec<u128> = (0u128..)
        .zip(places)
        .map(|(index, (mapping, address))| {
            u128::from(mapping) << 96 | u128::from(address) << 32 | index
        })
        .collect();
    keys.sort_unstable();
    with_rank(keys.into_iter().map(|key| key as u32).collect())
}

/// `rank[old] = new` for `order[new] = old`.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut rank = vec![0; order.len()];
    for (new, old) in (0..).zip(order) {
        rank[*old as usize] = new;
    }
    rank
}

/// The order of mappings, and of frames and functions at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dictionaries {
    /// By what they are, for blocks.
    Sorted,
    /// By first occurrence: faster, for segments, which are short-lived and never compared.
    AsTheyCame,
}

impl Dictionaries {
    /// The permutation of mappings.
    fn mappings(self, mappings: &MappingTable, strings: &StringTable) -> (Vec<u32>, Vec<u32>) {
        let count = mappings.len();
        match self {
            Self::Sorted => permutation(count, |i| {
                let of = &mappings[i];
                let size = of.limit.wrapping_sub(of.start);
                let texts = (strings.get(of.file), strings.get(of.build_id));
                (texts, of.file_offset, size)
            }),
            Self::AsTheyCame => with_rank((0..count as u32).collect()),
        }
    }

    /// The permutation of functions; `places` are those of their first frames.
    fn functions(
        self,
        functions: &[Function],
        strings: &StringTable,
        places: &[(u32, u64)],
    ) -> (Vec<u32>, Vec<u32>) {
        match self {
            Self::Sorted => permutation(functions.len(), |i| {
                let of = &functions[i];
                let texts = [of.name, of.file, of.system_name].map(|id| strings.get(id));
                (places[i], texts, of.start_line)
            }),
            Self::AsTheyCame => by_place(places.iter().copied()),
        }
    }

    /// The permutation of frames.
    fn frames(self, frames: &[Frame]) -> (Vec<u32>, Vec<u32>) {
        match self {
            Self::Sorted => frame_order(frames),
            Self::AsTheyCame => by_place(frames.iter().map(|of| (of.mapping, of.address))),
        }
    }

    /// Sorts rows by series, node and window; `series` and `nodes` are the numbers of those.
    fn sort_rows(self, rows: &mut Vec<Row>, series: usize, nodes: usize) {
        match self {
            // In place: the rows of an hour take most of the memory of its compaction.
            Self::Sorted => rows.sort_unstable_by_key(|row| {
                (
                    u64::from(row.series) << 32 | u64::from(row.node),
                    row.window,
                )
            }),
            Self::AsTheyCame => {
                *rows = counted(rows, nodes, |row| row.node);
                *rows = counted(rows, series, |row| row.series);
                // Windows of a source mostly come in their order.
                let same = |a: &Row, b: &Row| (a.series, a.node) == (b.series, b.node);
                for rows in rows.chunk_by_mut(same) {
                    if !rows.is_sorted_by_key(|row| row.window) {
                        rows.sort_unstable_by_key(|row| row.window);
                    }
                }
            }
        }
    }
}

/// Rows sorted by a key below `count`, equal keys in their order.
fn counted(rows: &[Row], count: usize, key: impl Fn(&Row) -> u32) -> Vec<Row> {
    let mut next = vec![0u32; count + 1];
    for row in rows {
        next[key(row) as usize + 1] += 1;
    }
    for key in 0..count {
        next[key + 1] += next[key];
    }
    let mut sorted = rows.to_vec();
    for row in rows {
        let at = &mut next[key(row) as usize];
        sorted[*at as usize] = *row;
        *at += 1;
    }
    sorted
}

/// Sorts a batch into the canonical order.
pub fn ordered(batch: Batch, dictionaries: Dictionaries) -> Ordered {
    let source_texts: Vec<String> = batch
        .sources
        .iter()
        .map(|source| source.to_json())
        .collect();
    let (source_order, source_rank) = permutation(batch.sources.len(), |i| {
        (batch.sources[i].service(), source_texts[i].as_str())
    });

    let series_texts: Vec<String> = batch
        .series
        .iter()
        .map(|series| series.labels.to_json())
        .collect();
    let (series_order, series_rank) = permutation(batch.series.len(), |i| {
        let series = &batch.series[i];
        (
            source_rank[series.source as usize],
            &*series.kind,
            series_texts[i].as_str(),
            &series.header,
        )
    });
    let series = series_order
        .iter()
        .map(|old| {
            let (series, text) = (&batch.series[*old as usize], &series_texts[*old as usize]);
            (
                Series {
                    source: source_rank[series.source as usize],
                    ..series.clone()
                },
                text.clone(),
            )
        })
        .collect();

    let (window_order, window_rank) = permutation(batch.windows.len(), |i| {
        let window = &batch.windows[i];
        (
            source_rank[window.source as usize],
            window.start_ms,
            window.id,
        )
    });
    let windows = window_order
        .iter()
        .map(|old| {
            let window = batch.windows[*old as usize];
            Window {
                source: source_rank[window.source as usize],
                ..window
            }
        })
        .collect();

    let strings = &batch.strings;
    let (mapping_order, mapping_rank) = dictionaries.mappings(&batch.mappings, strings);
    let mut frames = batch.frames;
    for frame in &mut frames {
        if let Some(at) = frame.mapping.checked_sub(1) {
            frame.mapping = mapping_rank[at as usize] + 1;
        }
    }
    let places = first_places(&frames, batch.functions.len());
    let (function_order, function_rank) =
        dictionaries.functions(&batch.functions, strings, &places);
    for frame in &mut frames {
        frame.function = function_rank[frame.function as usize];
    }
    let (frame_order, frame_rank) = dictionaries.frames(&frames);
    let frames = frame_order
        .iter()
        .map(|old| frames[*old as usize])
        .collect();

    let (parents, node_frames, node_rank) =
        preorder(batch.stacks.parents(), batch.stacks.items(), &frame_rank);

    let mut rows = batch.rows;
    for row in &mut rows {
        row.series = series_rank[row.series as usize];
        row.node = node_rank[row.node as usize];
        row.window = window_rank[row.window as usize];
    }
    dictionaries.sort_rows(&mut rows, series_rank.len(), node_rank.len());
    rows.dedup_by(|row, kept| {
        let same = (row.series, row.node, row.window) == (kept.series, kept.node, kept.window);
        if same {
            kept.value = kept.value.saturating_add(row.value);
        }
        same
    });
    rows.retain(|row| row.value != 0);

    let mut of_spans = batch.spans;
    for row in &mut of_spans {
        row.series = series_rank[row.series as usize];
        row.node = node_rank[row.node as usize];
        row.window = window_rank[row.window as usize];
    }
    spans::sort(&mut of_spans);

    let totals = batch.totals.map(|totals| {
        let ranked = totals.into_iter().map(|((series, window), value)| {
            let (series, window) = (series as usize, window as usize);
            (series_rank[series], window_rank[window], value)
        });
        let mut totals: Vec<_> = ranked.filter(|(.., value)| *value != 0).collect();
        totals.sort_unstable();
        totals
    });

    Ordered {
        services: source_order
            .iter()
            .map(|old| batch.sources[*old as usize].service().to_owned())
            .collect(),
        sources: source_order
            .iter()
            .map(|old| source_texts[*old as usize].clone())
            .collect(),
        series,
        windows,
        functions: function_order
            .iter()
            .map(|old| batch.functions[*old as usize])
            .collect(),
        mappings: mapping_order
            .iter()
            .map(|old| batch.mappings[*old as usize])
            .collect(),
        strings: batch.strings,
        frames,
        parents,
        node_frames,
        rows,
        totals,
        spans: of_spans,
        spans_left_out: batch.spans_left_out,
    }
}

/// The sorting permutation of distinct frames.
fn frame_order(frames: &[Frame]) -> (Vec<u32>, Vec<u32>) {
    // A column of keys, because to look into the frames takes longer than to compare.
    let mut keys: Vec<_> = (0..)
        .zip(frames)
        .map(|(index, of)| {
            let place = (of.mapping, of.address);
            let line = u64::from(of.function) << 32 | u64::from(of.line);
            (place, line, of.column, of.is_inlined, of.is_folded, index)
        })
        .collect();
    keys.sort_unstable();
    with_rank(keys.into_iter().map(|(.., index)| index).collect())
}

/// Mapping and address of the first frame of each function; the maximum if no address is known.
fn first_places(frames: &[Frame], functions: usize) -> Vec<(u32, u64)> {
    let mut places = vec![(u32::MAX, u64::MAX); functions];
    for frame in frames.iter().filter(|frame| frame.address != 0) {
        let place = &mut places[frame.function as usize];
        *place = (*place).min((frame.mapping, frame.address));
    }
    places
}

/// Indices of `keys` sorted by key (each below `count`), equal keys in the order of `order`, and the
/// start of each key in the result.
fn sorted_by(keys: &[u32], count: usize, order: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; count + 1];
    for key in keys {
        starts[*key as usize + 1] += 1;
    }
    for key in 0..count {
        starts[key + 1] += starts[key];
    }
    let mut next = starts.clone();
    let mut sorted = vec![0u32; keys.len()];
    for index in order {
        let at = &mut next[keys[index as usize] as usize];
        sorted[*at as usize] = index;
        *at += 1;
    }
    (sorted, starts)
}

/// Numbers nodes in preorder, siblings by the rank of their frames. Returns the columns of parents and
/// frames, and the new number of each old node.
fn preorder(parents: &[u32], items: &[u32], frame_rank: &[u32]) -> (Vec<i32>, Vec<i32>, Vec<u32>) {
    let count = parents.len();
    // One edge for each node below the root, sorted by frame and then by parent.
    let ranks: Vec<u32> = items[1..]
        .iter()
        .map(|item| frame_rank[*item as usize])
        .collect();
    let (by_rank, _) = sorted_by(&ranks, frame_rank.len(), 0..count as u32 - 1);
    // In reverse order, because the stack of pending nodes reverses siblings.
    let (edges, starts) = sorted_by(&parents[1..], count, by_rank.into_iter().rev());
    let children =
        |node: u32| &edges[starts[node as usize] as usize..starts[node as usize + 1] as usize];
    let mut rank = vec![0u32; count];
    let (mut new_parents, mut frames) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut pending: Vec<u32> = children(0).iter().map(|edge| edge + 1).collect();
    while let Some(node) = pending.pop() {
        rank[node as usize] = new_parents.len() as u32 + 1;
        new_parents.push(rank[parents[node as usize] as usize] as i32);
        frames.push(ranks[node as usize - 1] as i32);
        pending.extend(children(node).iter().map(|edge| edge + 1));
    }
    (new_parents, frames, rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_base::Random;

    #[test]
    fn rows_of_segments_and_of_blocks_have_the_same_order() {
        let mut random = Random::seeded(1);
        let mut rows = Vec::new();
        for window in [3, 1, 2, 0] {
            for _ in 0..200 {
                rows.push(Row {
                    series: random.below(5) as u32,
                    node: random.below(20) as u32,
                    window,
                    value: 1,
                });
            }
        }
        let (mut of_segment, mut of_block) = (rows.clone(), rows);
        Dictionaries::AsTheyCame.sort_rows(&mut of_segment, 5, 20);
        Dictionaries::Sorted.sort_rows(&mut of_block, 5, 20);
        assert_eq!(of_segment, of_block);
    }
}
