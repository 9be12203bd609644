//! The canonical order of a batch: the same content gives the same bytes, in whatever order it was
//! added.
//!
//! Frames are sorted by their fields. Nodes are in preorder with siblings in the order of their
//! frames, so a parent precedes its children and a subtree is a range. Sources, series and windows are
//! sorted, and rows by (series, node, window): columns grow slowly, so their differences are small.

use super::batch::{Batch, Row, Series, Window};
use davy_profile::{Frame, Mapping, StringId, StringTable};

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
    /// Texts of the frames.
    pub strings: StringTable,
    /// Mappings of the frames, in any order.
    pub mappings: Vec<Mapping>,
    /// Frames.
    pub frames: Vec<Frame>,
    /// Parents of the nodes; index `i` is that of node `i + 1`, node 0 is the root.
    pub parents: Vec<i32>,
    /// Frames of the nodes.
    pub node_frames: Vec<i32>,
    /// Rows with distinct keys and values other than 0.
    pub rows: Vec<Row>,
}

/// The sorting permutation: `(order, rank)` with `order[new] = old` and `rank[old] = new`.
fn permutation<K: Ord>(count: usize, key: impl Fn(usize) -> K) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by_key(|index| key(*index as usize));
    let mut rank = vec![0; count];
    for (new, old) in order.iter().enumerate() {
        rank[*old as usize] = new as u32;
    }
    (order, rank)
}

/// The order of texts, by which frames are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Alphabetical, for blocks.
    Sorted,
    /// By first occurrence: faster, for segments, which are short-lived and never compared.
    AsTheyCame,
}

/// Sorts a batch into the canonical order.
pub fn ordered(batch: Batch, texts: Texts) -> Ordered {
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
            &*series.header,
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

    let tree = &batch.stacks;
    // Each text is compared once instead of once for each frame that has it.
    let text_rank = match texts {
        Texts::Sorted => {
            permutation(tree.strings.len(), |i| tree.strings.get(StringId(i as u32))).1
        }
        Texts::AsTheyCame => (0..tree.strings.len() as u32).collect(),
    };
    let (frame_order, frame_rank) = frame_order(&tree.frames, &tree.mappings, &text_rank);
    let frames = frame_order
        .iter()
        .map(|old| tree.frames[*old as usize])
        .collect();

    let (parents, node_frames, node_rank) =
        preorder(tree.stacks.parents(), tree.stacks.items(), &frame_rank);

    let mut rows = batch.rows;
    for row in &mut rows {
        row.series = series_rank[row.series as usize];
        row.node = node_rank[row.node as usize];
        row.window = window_rank[row.window as usize];
    }
    rows.sort_unstable_by_key(|row| {
        (
            u64::from(row.series) << 32 | u64::from(row.node),
            row.window,
        )
    });
    rows.dedup_by(|row, kept| {
        let same = (row.series, row.node, row.window) == (kept.series, kept.node, kept.window);
        if same {
            kept.value = kept.value.saturating_add(row.value);
        }
        same
    });
    rows.retain(|row| row.value != 0);

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
        strings: batch.stacks.strings,
        mappings: batch.stacks.mappings,
        frames,
        parents,
        node_frames,
        rows,
    }
}

/// The sorting permutation of distinct frames.
fn frame_order(frames: &[Frame], mappings: &[Mapping], text_rank: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let text = |id: StringId| text_rank[id.0 as usize];
    // Names, files and lines nearly always decide, and are compared without access to the frames.
    let mut keys: Vec<(u64, u64, u32)> = frames
        .iter()
        .enumerate()
        .map(|(index, frame)| {
            let names = u64::from(text(frame.name)) << 32 | u64::from(text(frame.file));
            let lines = u64::from(frame.start_line) << 32 | u64::from(frame.line);
            (names, lines, index as u32)
        })
        .collect();
    let rest = |index: u32| {
        let frame = &frames[index as usize];
        let mapping = frame.mapping.checked_sub(1).map(|at| {
            let mapping = &mappings[at as usize];
            let size = mapping.limit.wrapping_sub(mapping.start);
            (
                text(mapping.file),
                text(mapping.build_id),
                mapping.file_offset,
                size,
            )
        });
        let spot = (
            frame.address,
            frame.column,
            frame.is_inlined,
            frame.is_folded,
        );
        (text(frame.system_name), mapping, spot, frame.kind)
    };
    keys.sort_unstable_by(|a, b| {
        let lines = (a.0, a.1).cmp(&(b.0, b.1));
        lines.then_with(|| rest(a.2).cmp(&rest(b.2)))
    });
    let mut rank = vec![0; frames.len()];
    for (new, (.., old)) in keys.iter().enumerate() {
        rank[*old as usize] = new as u32;
    }
    (keys.into_iter().map(|(.., old)| old).collect(), rank)
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
