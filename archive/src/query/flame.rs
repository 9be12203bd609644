//! Merges the windows of a range into one tree.
//!
//! Counters (CPU time, allocations) are summed over windows. Gauges (live heap, tasks) are averaged
//! over the windows of each source, which is the label set of its pushes, and the averages of the
//! sources are summed. Averages are kept in units of 1/1024 until the end, so gauges saturate at
//! 2^53; counters saturate at the limits of 64 bits.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::format::batch::Source;
use crate::format::tables::{Dictionary, Frames};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, FrameKind, NodeId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of windows of each source.
type Counts = FxHashMap<Source, u64>;

const FRACTIONS: i64 = 1_024;

#[derive(Default)]
struct Count(Counts);

impl Visitor for Count {
    const DEPTH: Depth = Depth::Windows;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        if let Some(windows) = view.windows {
            for (window, _) in windows
                .rows
                .iter()
                .zip(view.included)
                .filter(|(_, included)| **included)
            {
                let source = &view.series.sources[window.source as usize];
                *self.0.entry(Arc::clone(source)).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// A merged tree.
pub struct Flame {
    /// The tree.
    pub tree: FlameTree,
    by: Vec<String>,
    grain: Grain,
    counts: Option<Counts>,
    limit: usize,
    pruned: bool,
}

/// Merges a range.
pub async fn flame(query: &Query, ask: &Ask, grain: Grain) -> Result<(Flame, Report)> {
    let counts = if ask.gauge() {
        Some(query.scan(ask, Count::default()).await?.0.0)
    } else {
        None
    };
    let visitor = Flame {
        tree: FlameTree::new(),
        by: ask.by.clone(),
        grain,
        counts,
        limit: query.options.query_nodes,
        pruned: false,
    };
    let (mut flame, mut report) = query.scan(ask, visitor).await?;
    if flame.pruned {
        report.partial.push(format!(
            "the smallest nodes were folded into their callers because there are more than {}; narrow the selector or the range",
            flame.limit
        ));
    }
    if flame.counts.is_some() {
        for value in &mut flame.tree.values {
            *value = value.saturating_add(FRACTIONS / 2).div_euclid(FRACTIONS);
        }
    }
    Ok((flame, report))
}

impl Visitor for Flame {
    const DEPTH: Depth = Depth::Stacks;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(dictionary)) = (view.values, view.dictionary) else {
            return Ok(());
        };
        // Runs of rows by the node of their group and, for gauges, by source.
        let mut cells: BTreeMap<(u32, u32), Vec<std::ops::Range<usize>>> = BTreeMap::new();
        let mut roots: Vec<Option<(u32, u32)>> = vec![None; view.wanted.len()];
        let mut start = 0;
        for run in values.series.chunk_by(|a, b| a == b) {
            let (series, range) = (run[0] as usize, start..start + run.len());
            start = range.end;
            if !view.wanted[series] {
                continue;
            }
            let root = *roots[series].get_or_insert_with(|| {
                let (source, _, labels) = &view.series.rows[series];
                let mut at = NodeId::ROOT;
                for by in &self.by {
                    let value = match labels.get(by) {
                        "" => view.series.sources[*source as usize].get(by),
                        value => value,
                    };
                    let text = format!(
                        "{by}={}",
                        if value.is_empty() {
                            "(untagged)"
                        } else {
                            value
                        }
                    );
                    let frame = self.tree.named_frame(&text, FrameKind::Group);
                    at = self.tree.child(at, frame);
                }
                (at.0, if self.counts.is_some() { *source } else { 0 })
            });
            cells.entry(root).or_default().push(range);
        }

        let mut merge = Merge {
            dictionary,
            texts: Frames::of(dictionary),
            grain: self.grain,
            frames: vec![u32::MAX; dictionary.frame_count()],
            nodes: vec![u32::MAX; dictionary.parents.len()],
            path: Vec::new(),
        };
        let mut sums = vec![0i64; dictionary.parents.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut root_before = None;
        for ((root, source), runs) in cells {
            for row in runs.into_iter().flatten() {
                if values
                    .windows
                    .get(row)
                    .is_some_and(|window| !view.included[*window as usize])
                {
                    continue;
                }
                let node = values.nodes[row];
                let sum = &mut sums[node as usize];
                if *sum == 0 {
                    touched.push(node);
                }
                *sum = sum.saturating_add(values.values[row]);
            }
            if root_before != Some(root) {
                merge.nodes.fill(u32::MAX);
                merge.nodes[0] = root;
                root_before = Some(root);
            }
            let count = self.counts.as_ref().map(|counts| {
                let source = &view.series.sources[source as usize];
                counts.get(source).copied().unwrap_or(1).max(1)
            });
            for node in touched.drain(..) {
                let sum = std::mem::take(&mut sums[node as usize]);
                if sum == 0 {
                    continue;
                }
                let value = match count {
                    None => sum,
                    Some(count) => (i128::from(sum) * i128::from(FRACTIONS) / i128::from(count))
                        .clamp(i128::from(i64::MIN), i128::from(i64::MAX))
                        as i64,
                };
                let at = merge.node(&mut self.tree, node)?;
                self.tree.add(at, value);
            }
        }
        if self.tree.stacks.len() > self.limit + self.limit / 4 {
            self.tree = self.tree.prune(self.limit);
            self.pruned = true;
        }
        Ok(())
    }
}

/// Copies nodes of a dictionary into a tree, each once.
struct Merge<'a> {
    dictionary: &'a Dictionary,
    texts: Frames<'a>,
    grain: Grain,
    frames: Vec<u32>,
    nodes: Vec<u32>,
    path: Vec<u32>,
}

impl Merge<'_> {
    fn node(&mut self, tree: &mut FlameTree, node: u32) -> Result<NodeId> {
        let mut at = node as usize;
        while self.nodes[at] == u32::MAX {
            self.path.push(at as u32);
            at = self.dictionary.parents[at] as usize;
        }
        let mut result = NodeId(self.nodes[at]);
        while let Some(below) = self.path.pop() {
            let frame = self.frame(tree, self.dictionary.node_frames[below as usize] as usize)?;
            result = tree.child(result, frame);
            self.nodes[below as usize] = result.0;
        }
        Ok(result)
    }

    fn frame(&mut self, tree: &mut FlameTree, frame: usize) -> Result<u32> {
        if self.frames[frame] == u32::MAX {
            let mut taken = self.texts.frame(frame, &mut tree.strings)?;
            if self.grain != Grain::Line {
                taken.line = 0;
            }
            self.frames[frame] = tree.frame(taken);
        }
        Ok(self.frames[frame])
    }
}
