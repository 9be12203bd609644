//! Merges the windows of a range into one tree.
//!
//! Flows (CPU time, allocations) are summed over windows. States (live heap, tasks) are averaged over the
//! windows of each source, which is the label set of its pushes, and the averages of the sources are summed.
//! Sums saturate at the limits of 64 bits.

use super::aggregate::{FRACTIONS, Plan, clamped, rounded};
use super::group::group;
use super::params::Ask;
use super::prune::{Uninteresting, targets};
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::format::batch::Series;
use crate::format::tables::{Dictionary, TreeFrames};
use crate::types::Aggregation;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A merged tree.
pub struct Flame {
    /// The tree.
    pub tree: FlameTree,
    /// How values were added up over time.
    pub aggregation: Aggregation,
    /// What decided how: `type`, `profile` or `default`.
    pub aggregation_source: &'static str,
    by: Vec<String>,
    grain: Grain,
    plan: Plan,
    /// Averages by node, in [`FRACTIONS`].
    averages: Vec<i128>,
    limit: usize,
    is_pruned: bool,
    /// Patterns of frames to leave out that are invalid.
    invalid: BTreeSet<String>,
}

/// Merges a range.
pub async fn flame(query: &Query, ask: &Ask, grain: Grain) -> Result<(Flame, Report)> {
    let plan = Plan::of(query, ask).await?;
    let visitor = Flame {
        tree: FlameTree::new(),
        aggregation: plan.aggregation,
        aggregation_source: plan.source,
        by: ask.by.clone(),
        grain,
        plan,
        averages: Vec::new(),
        limit: query.options.query_nodes,
        is_pruned: false,
        invalid: BTreeSet::new(),
    };
    let (mut flame, mut report) = query.scan(ask, visitor).await?;
    if flame.is_pruned {
        report.partial.push(format!(
            "the smallest nodes were folded into their callers because there are more than {}; narrow the selector or the range",
            flame.limit
        ));
    }
    for error in &flame.invalid {
        report
            .partial
            .push(format!("drop_frames was ignored: {error}"));
    }
    for (value, average) in flame.tree.values.iter_mut().zip(&flame.averages) {
        *value = rounded(*average);
    }
    Ok((flame, report))
}

/// Rows that are added below the same node: the node of their group, their source if they are averaged, and
/// what their profiles leave out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    root: u32,
    patterns: (String, String),
    source: u32,
}

impl Visitor for Flame {
    const DEPTH: Depth = Depth::Stacks;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(dictionary)) = (view.values, view.dictionary) else {
            return Ok(());
        };
        let mut cells: BTreeMap<Cell, Vec<std::ops::Range<usize>>> = BTreeMap::new();
        let mut known: Vec<Option<Cell>> = vec![None; view.wanted.len()];
        let mut start = 0;
        for run in values.series.chunk_by(|a, b| a == b) {
            let (series, range) = (run[0] as usize, start..start + run.len());
            start = range.end;
            if view.wanted[series] {
                let cell =
                    known[series].get_or_insert_with(|| self.cell(view, &view.series.rows[series]));
                cells.entry(cell.clone()).or_default().push(range);
            }
        }
        let mut merge = Merge::new(dictionary, self.grain);
        let mut sums = vec![0i64; dictionary.parents.len()];
        let mut touched: Vec<u32> = Vec::new();
        let mut before: Option<(u32, (String, String))> = None;
        // Which nodes stand for which, by the patterns of what is left out.
        let mut targets: BTreeMap<(String, String), Option<Targets>> = BTreeMap::new();
        for (cell, runs) in cells {
            for row in runs.into_iter().flatten() {
                let window = values.windows.get(row);
                if window.is_some_and(|window| !view.included[*window as usize]) {
                    continue;
                }
                let node = values.nodes[row];
                let sum = &mut sums[node as usize];
                if *sum == 0 {
                    touched.push(node);
                }
                *sum = sum.saturating_add(values.values[row]);
            }
            let same = (cell.root, cell.patterns);
            if before.as_ref() != Some(&same) {
                let targets = if let Some(known) = targets.get(&same.1) {
                    known.clone()
                } else {
                    let uninteresting = self.uninteresting(&same.1);
                    let found = uninteresting.map(|of| merge.targets(&of)).transpose()?;
                    targets.insert(same.1.clone(), found.clone());
                    found
                };
                merge.begin(same.0, targets);
                before = Some(same);
            }
            let source = &view.series.sources[cell.source as usize];
            let divisor = self.plan.divisor(source, self.aggregation);
            for node in touched.drain(..) {
                let sum = std::mem::take(&mut sums[node as usize]);
                if sum == 0 {
                    continue;
                }
                let at = merge.node(&mut self.tree, node)?;
                if self.aggregation == Aggregation::Sum {
                    self.tree.add(at, sum);
                    continue;
                }
                self.averages.resize(self.tree.values.len(), 0);
                let average = i128::from(sum) * FRACTIONS / divisor;
                self.averages[at.index()] += average;
                // The tree is pruned by its values.
                self.tree.values[at.index()] = clamped(self.averages[at.index()] / FRACTIONS);
            }
        }
        if self.tree.stacks.len() > self.limit + self.limit / 4 {
            let nodes;
            (self.tree, nodes) = self.tree.prune_mapped(self.limit);
            let before = std::mem::take(&mut self.averages);
            if !before.is_empty() {
                self.averages.resize(self.tree.values.len(), 0);
                for (node, average) in nodes.into_iter().zip(before) {
                    self.averages[node.index()] += average;
                }
            }
            self.is_pruned = true;
        }
        Ok(())
    }
}

impl Flame {
    fn cell(&mut self, view: &View<'_>, series: &Series) -> Cell {
        let header = &series.header;
        Cell {
            root: group(&mut self.tree, &self.by, view, series).0,
            patterns: (header.drop_frames.clone(), header.keep_frames.clone()),
            source: if self.aggregation == Aggregation::Average {
                series.source
            } else {
                0
            },
        }
    }

    fn uninteresting(
        &mut self,
        (drop_frames, keep_frames): &(String, String),
    ) -> Option<Uninteresting> {
        match Uninteresting::of(drop_frames, keep_frames) {
            Ok(found) => found,
            Err(error) => {
                self.invalid.insert(error);
                None
            }
        }
    }
}

/// The node of a dictionary that stands for each node.
type Targets = Arc<[u32]>;

/// Copies nodes of a dictionary into a tree, each once.
pub(super) struct Merge<'a> {
    dictionary: &'a Dictionary,
    texts: TreeFrames<'a>,
    grain: Grain,
    frames: Vec<u32>,
    nodes: Vec<u32>,
    targets: Option<Targets>,
    path: Vec<u32>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(dictionary: &'a Dictionary, grain: Grain) -> Self {
        Self {
            dictionary,
            texts: TreeFrames::of(dictionary),
            grain,
            frames: vec![u32::MAX; dictionary.frame_count()],
            nodes: vec![u32::MAX; dictionary.parents.len()],
            targets: None,
            path: Vec::new(),
        }
    }

    /// Copies the mapping of a program, even if no frame is in it.
    pub(super) fn program(&mut self, tree: &mut FlameTree, build_id: &str) -> Result<()> {
        self.texts
            .program(build_id, &mut tree.strings, &mut tree.mappings)
    }

    /// Copies the following nodes below `root`; others stand for some of them.
    pub(super) fn begin(&mut self, root: u32, targets: Option<Targets>) {
        self.nodes.fill(u32::MAX);
        self.nodes[0] = root;
        self.targets = targets;
    }

    /// The nodes that stand for those that are left out.
    fn targets(&self, without: &Uninteresting) -> Result<Targets> {
        let (mut tree, mut texts) = (FlameTree::new(), TreeFrames::of(self.dictionary));
        let mut is_left_out = Vec::with_capacity(self.dictionary.frame_count());
        for frame in 0..self.dictionary.frame_count() {
            let frame = texts.frame(frame, &mut tree)?;
            let frame = tree.frame(frame);
            is_left_out.push(without.matches(&tree.frame_name(frame)));
        }
        let Dictionary {
            parents,
            node_frames,
            ..
        } = self.dictionary;
        Ok(targets(parents, node_frames, &is_left_out).into())
    }

    pub(super) fn node(&mut self, tree: &mut FlameTree, node: u32) -> Result<NodeId> {
        let mut at = match &self.targets {
            Some(targets) => targets[node as usize] as usize,
            None => node as usize,
        };
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

    /// The node that was copied of a node or of its closest ancestor.
    pub(super) fn known(&self, node: u32) -> NodeId {
        let mut at = node as usize;
        while self.nodes[at] == u32::MAX {
            at = self.dictionary.parents[at] as usize;
        }
        NodeId(self.nodes[at])
    }

    fn frame(&mut self, tree: &mut FlameTree, frame: usize) -> Result<u32> {
        if self.frames[frame] == u32::MAX {
            let taken = self.texts.frame(frame, tree)?;
            self.frames[frame] = tree.frame_at(taken, self.grain);
        }
        Ok(self.frames[frame])
    }
}
