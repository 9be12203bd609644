//! Merges the windows of a range into one tree.
//!
//! The values of each group of rows are added up by the nodes of its dictionary, whose stacks become a tree in preorder;
//! these trees are merged at the end, or before that when they have too many nodes.
//!
//! Flows (CPU time, allocations) are summed over windows. States (live heap, tasks) are averaged over the
//! windows of each source, which is the label set of its pushes, and the averages of the sources are summed.
//! Sums saturate at the limits of 64 bits.

use super::aggregate::{FRACTIONS, Plan, nearest};
use super::filters::matching;
use super::group::group_frames;
use super::merges::{Selection, Shared, is_fresh};
use super::params::Ask;
use super::prune::{Uninteresting, targets};
use super::scan::{Opened, Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::batch::Series;
use crate::format::tables::{Dictionary, TreeFrames};
use crate::rule::day::Detail;
use crate::types::Aggregation;
use davy_profile::flame::{Grain, Preorder, Sums};
use davy_profile::{FlameTree, FrameKind, NodeId, WordMap};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Number of nodes that are kept, whatever the limit of the result, before they are merged.
const PENDING: usize = 1 << 16;

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
    /// What was visited, with values in [`FRACTIONS`] if they are averaged. Frames are those of the tree.
    pending: Vec<Preorder>,
    pending_nodes: usize,
    limit: usize,
    is_pruned: bool,
    /// Patterns of frames to leave out that are invalid.
    invalid: BTreeSet<String>,
    functions: Functions,
}

/// Merges a range by function, or returns the tree of a query of the same pieces.
pub(super) async fn shared(query: &Query, ask: &Ask) -> Result<Arc<Shared>> {
    let opened = query.open(ask, Detail::Days).await?;
    let pieces = opened.fingerprint();
    let clock = &query.options.clock;
    let merge = async {
        let merged = Box::pin(flame_of(query, ask, Grain::Function, opened));
        let (flame, report) = merged.await?;
        Ok(Shared {
            tree: Arc::new(flame.tree),
            aggregation: flame.aggregation,
            aggregation_source: flame.aggregation_source,
            report,
            made: clock.monotonic(),
            symbols: query.symbols.revision(),
        })
    };
    let Some(pieces) = pieces else {
        return merge.await.map(Arc::new);
    };
    let selection = Selection {
        tenant: ask.tenant.clone(),
        // A short name matches more types than the id that it stands for.
        kind: format!("{:?}", ask.kind),
        selector: format!("{} {:?}", ask.selector.text(), ask.selector.only()),
        range: (ask.from.millis(), ask.until.millis()),
        by: ask.by.clone(),
        pieces,
    };
    let is_valid = |of: &Shared| {
        let is_same = of.symbols == query.symbols.revision();
        let names = of.report.names.last();
        (is_same || names.is_none()) && is_fresh(of.made, clock.monotonic(), names)
    };
    Box::pin(query.merges.get(selection, is_valid, merge)).await
}

/// Merges a range.
pub async fn flame(query: &Query, ask: &Ask, grain: Grain) -> Result<(Flame, Report)> {
    let opened = query.open(ask, Detail::Days).await?;
    flame_of(query, ask, grain, opened).await
}

async fn flame_of(
    query: &Query,
    ask: &Ask,
    grain: Grain,
    opened: Opened,
) -> Result<(Flame, Report)> {
    let plan = Plan::of(query, ask).await?;
    let visitor = Flame {
        tree: FlameTree::new(),
        aggregation: plan.aggregation,
        aggregation_source: plan.source,
        by: ask.by.clone(),
        grain,
        plan,
        pending: Vec::new(),
        pending_nodes: 0,
        limit: query.options.query_nodes,
        is_pruned: false,
        invalid: BTreeSet::new(),
        functions: Functions::new(),
    };
    let (mut flame, mut report) = query.scan_opened(ask, visitor, opened).await?;
    let finish = move || {
        flame.finish();
        flame
    };
    let flame = blocking("merge trees", finish).await?;
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
    Ok((flame, report))
}

/// Rows that are added below the same frames: those of their group; their source if they are averaged, and
/// what their profiles leave out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    above: Vec<u32>,
    patterns: (String, String),
    source: u32,
}

/// Numbers of the rows of each cell.
type Cells = BTreeMap<Cell, Vec<std::ops::Range<usize>>>;

impl Visitor for Flame {
    const DEPTH: Depth = Depth::Stacks;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(dictionary)) = (view.values, view.dictionary) else {
            return Ok(());
        };
        let mut cells = Cells::new();
        let mut last: Option<(u32, Cell)> = None;
        for (at, range) in values.runs().filter(|(at, _)| view.wanted[*at]) {
            let series = &view.series.rows[at];
            let is_last = |(of, _): &(u32, Cell)| {
                let of = &view.series.rows[*of as usize];
                (of.source, &of.labels, &of.header)
                    == (series.source, &series.labels, &series.header)
            };
            let cell = match last.take().filter(is_last) {
                Some((_, cell)) => cell,
                None => self.cell(view, series),
            };
            match cells.get_mut(&cell) {
                Some(ranges) => ranges.push(range),
                None => {
                    cells.insert(cell.clone(), vec![range]);
                }
            }
            last = Some((at as u32, cell));
        }
        let mut merge = Merge::new(dictionary, self.grain);
        let mut sums = Sums::new(&dictionary.parents);
        // Which nodes stand for which, by the patterns of what is left out.
        let mut targets: BTreeMap<(String, String), Option<Targets>> = BTreeMap::new();
        let mut cells = cells.into_iter().peekable();
        while let Some((cell, ranges)) = cells.next() {
            let targets = if let Some(known) = targets.get(&cell.patterns) {
                known.clone()
            } else {
                let uninteresting = self.uninteresting(&cell.patterns);
                let found = uninteresting.map(|of| merge.targets(&of)).transpose()?;
                targets.insert(cell.patterns.clone(), found.clone());
                found
            };
            for row in ranges.into_iter().flatten() {
                let window = values.windows.get(row);
                if window.is_some_and(|window| !view.included[*window as usize]) {
                    continue;
                }
                let mut node = dictionary.place(values.nodes[row]);
                if let Some(targets) = &targets {
                    node = targets[node as usize];
                }
                sums.add(node, values.values[row].into());
            }
            let is_average = self.aggregation == Aggregation::Average;
            // Cells of the same group are added up first.
            if !is_average
                && cells
                    .peek()
                    .is_some_and(|(next, _)| next.above == cell.above)
            {
                continue;
            }
            let source = &view.series.sources[cell.source as usize];
            let divisor = self.plan.divisor(source, self.aggregation);
            let convert = |sum: i128| {
                if is_average {
                    sum.saturating_mul(FRACTIONS) / divisor
                } else {
                    sum
                }
            };
            let (tree, functions) = (&mut self.tree, &mut self.functions);
            let frame = |node: u32| merge.frame_of(tree, functions, node);
            let part = sums.take(&cell.above, convert, frame)?;
            self.pending_nodes += part.len();
            self.pending.push(part);
        }
        if self.pending_nodes > 2 * self.limit.max(PENDING) {
            self.merge_pending();
        }
        Ok(())
    }
}

impl Flame {
    fn cell(&mut self, view: &View<'_>, series: &Series) -> Cell {
        let header = &series.header;
        Cell {
            above: group_frames(&mut self.tree, &self.by, view, series),
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

    /// Merges what was visited into one tree of at most `limit` nodes.
    fn merge_pending(&mut self) -> &mut Preorder {
        let merged = Preorder::merge(&std::mem::take(&mut self.pending));
        self.is_pruned |= merged.len() > self.limit + 1;
        let frames = &self.tree.frames;
        let is_group = |frame: u32| {
            let frame = frames.get(frame as usize);
            frame.is_some_and(|frame| frame.kind == FrameKind::Group)
        };
        let merged = merged.prune(self.limit, is_group);
        self.pending_nodes = merged.len();
        self.pending.push(merged);
        &mut self.pending[0]
    }

    /// Merges what was visited into the tree.
    fn finish(&mut self) {
        self.merge_pending();
        let is_average = self.aggregation == Aggregation::Average;
        let value = |sum: i128| if is_average { nearest(sum) } else { sum };
        if let Some(merged) = self.pending.pop() {
            self.tree.set_stacks(merged, value);
        }
    }
}

/// Frames of a tree, counted from 1, by function.
pub(super) type Functions = WordMap<5>;

/// The node of a dictionary that stands for each node.
type Targets = Arc<[u32]>;

/// Copies nodes of a dictionary into a tree, each once.
pub(super) struct Merge<'a> {
    dictionary: &'a Dictionary,
    texts: TreeFrames<'a>,
    grain: Grain,
    /// The frame of each node, or one that is the same at this grain.
    node_frames: &'a [u32],
    /// The frame of the tree for each frame.
    frames: Vec<u32>,
    /// Nodes of the tree; empty until the first one is copied.
    nodes: Vec<u32>,
    path: Vec<u32>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(dictionary: &'a Dictionary, grain: Grain) -> Self {
        Self {
            dictionary,
            texts: TreeFrames::of(dictionary),
            grain,
            node_frames: match grain {
                Grain::Function => &dictionary.by_function().node_frames,
                Grain::Location => &dictionary.node_frames,
            },
            frames: vec![u32::MAX; dictionary.frame_count()],
            nodes: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Whether the stack of each node begins with these frames.
    pub(super) fn on_path(dictionary: &Dictionary, path: &[String]) -> Result<Vec<bool>> {
        /// The node is on another path.
        const OFF: usize = usize::MAX;
        let (mut tree, mut texts) = (FlameTree::new(), TreeFrames::of(dictionary));
        // Whether each frame is that of each step of the path.
        let mut steps = Vec::with_capacity(dictionary.frame_count());
        for frame in 0..dictionary.frame_count() {
            let frame = texts.frame(frame, &mut tree)?;
            let frame = tree.function(frame);
            let name = tree.frame_name(frame);
            steps.push(path.iter().map(|step| *step == *name).collect::<Vec<_>>());
        }
        let mut matched = vec![0; dictionary.parents.len()];
        for node in 1..matched.len() {
            let frame = dictionary.node_frames[node] as usize;
            matched[node] = match matched[dictionary.parents[node] as usize] {
                at if at == OFF || at == path.len() => at,
                at if steps[frame][at] => at + 1,
                _ => OFF,
            };
        }
        Ok(matched.into_iter().map(|at| at == path.len()).collect())
    }

    /// Whether a frame of the stack of each node matches, as `focus` matches frames.
    pub(super) fn through(dictionary: &Dictionary, pattern: &Regex) -> Result<Vec<bool>> {
        let (mut tree, mut texts) = (FlameTree::new(), TreeFrames::of(dictionary));
        let frames = (0..dictionary.frame_count())
            .map(|frame| texts.frame(frame, &mut tree))
            .collect::<Result<Vec<_>>>()?;
        let functions: Vec<u32> = frames.iter().map(|frame| tree.function(*frame)).collect();
        let matching = matching(&tree, pattern);
        let mut through = vec![false; dictionary.parents.len()];
        for node in 1..through.len() {
            let function = functions[dictionary.node_frames[node] as usize];
            through[node] =
                through[dictionary.parents[node] as usize] || matching[function as usize];
        }
        Ok(through)
    }

    /// Copies the mapping of a program, even if no frame is in it.
    pub(super) fn program(&mut self, tree: &mut FlameTree, build_id: &str) -> Result<()> {
        self.texts
            .program(build_id, &mut tree.strings, &mut tree.mappings)
    }

    /// Copies the following nodes below `root`.
    pub(super) fn begin(&mut self, root: u32) {
        self.nodes.clear();
        self.nodes.resize(self.dictionary.parents.len(), u32::MAX);
        self.nodes[0] = root;
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
        let mut at = node as usize;
        while self.nodes[at] == u32::MAX {
            self.path.push(at as u32);
            at = self.dictionary.parents[at] as usize;
        }
        let mut result = NodeId(self.nodes[at]);
        while let Some(below) = self.path.pop() {
            let frame = self.frame_of(tree, &mut Functions::new(), below)?;
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

    /// The frame of the tree for a node of the dictionary. `functions` are the frames of the tree for functions of other
    /// dictionaries, to which it is added.
    pub(super) fn frame_of(
        &mut self,
        tree: &mut FlameTree,
        functions: &mut Functions,
        node: u32,
    ) -> Result<u32> {
        let frame = self.node_frames[node as usize] as usize;
        if self.frames[frame] == u32::MAX {
            let key = match self.grain {
                Grain::Function => self.texts.function_key(frame, tree)?,
                Grain::Location => None,
            };
            self.frames[frame] = if let Some(known) = key.and_then(|key| functions.get(&key)) {
                known - 1
            } else {
                let taken = self.texts.frame(frame, tree)?;
                let taken = tree.frame_at(taken, self.grain);
                if let Some(key) = key {
                    functions.find_or_insert(key, taken + 1);
                }
                taken
            };
        }
        Ok(self.frames[frame])
    }
}
