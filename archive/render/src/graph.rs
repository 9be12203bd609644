//! What of some stacks is drawn: the nodes that are wide enough to be seen.

use crate::stacks::Stacks;
use davy_profile::{FlameTree, FrameKind, NodeId};
use rustc_hash::FxHashMap;

/// The narrowest frame that is drawn is this part of the total: a tenth of a pixel of 1,200.
const NARROWEST: u64 = 10_000;
/// Maximum number of nodes of a graph; then only wider ones are drawn.
pub(crate) const NODES: usize = 8_192;
/// Stands for the first frames that are too narrow, so that their values are drawn.
const NARROW: &str = "(narrower frames)";

/// The nodes of a graph that are drawn, with their values and those of the nodes that are not.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) tree: FlameTree,
    /// The sum of the values that are drawn as part of callers or callees, because their own frames are too narrow.
    pub(crate) narrow: u64,
}

/// The lowest total of a node that is drawn.
pub(crate) fn narrowest(total: u64) -> u64 {
    total.div_ceil(NARROWEST).max(1)
}

/// Adds nodes to a graph by the numbers of their names.
pub(crate) struct Builder<'a> {
    stacks: &'a Stacks,
    frames: FxHashMap<u32, u32>,
    pub(crate) graph: Graph,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(stacks: &'a Stacks) -> Self {
        Self {
            stacks,
            frames: FxHashMap::default(),
            graph: Graph {
                tree: FlameTree::new(),
                narrow: 0,
            },
        }
    }

    pub(crate) fn child(&mut self, parent: NodeId, frame: u32) -> NodeId {
        let tree = &mut self.graph.tree;
        let name = || {
            let name = &self.stacks.names[frame as usize];
            tree.named_frame(name, FrameKind::Function)
        };
        let frame = *self.frames.entry(frame).or_insert_with(name);
        self.graph.tree.child(parent, frame)
    }

    pub(crate) fn add(&mut self, node: NodeId, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.graph.tree.add(node, value);
    }

    /// Adds the value of a node that is too narrow to its neighbour closer to the root.
    pub(crate) fn add_narrow(&mut self, parent: NodeId, value: u64) {
        self.graph.narrow = self.graph.narrow.saturating_add(value);
        let node = if parent == NodeId::ROOT {
            let frame = self.graph.tree.named_frame(NARROW, FrameKind::Cut);
            self.graph.tree.child(NodeId::ROOT, frame)
        } else {
            parent
        };
        self.add(node, value);
    }
}

/// The graph of callers above their callees, of at most `nodes` nodes.
pub(crate) fn forward(stacks: &Stacks, nodes: usize) -> Graph {
    let totals = stacks.totals();
    let mut narrowest = narrowest(totals[0]);
    let mut wide: Vec<u64> = totals[1..]
        .iter()
        .copied()
        .filter(|total| *total >= narrowest)
        .collect();
    // How many nodes of exactly this total are drawn: the first ones, which are above the others of their stack.
    let mut ties = usize::MAX;
    if wide.len() > nodes {
        let (wider, nth, _) = wide.select_nth_unstable_by(nodes.max(1) - 1, |a, b| b.cmp(a));
        narrowest = *nth;
        ties = 1 + wider.iter().filter(|total| **total == narrowest).count();
    }
    let mut builder = Builder::new(stacks);
    builder.add(NodeId::ROOT, u64::try_from(stacks.values[0]).unwrap_or(0));
    // The node of the graph of each node that is drawn.
    let mut drawn = vec![u32::MAX; stacks.len()];
    drawn[0] = 0;
    for node in 1..stacks.len() {
        let parent = drawn[stacks.parents[node] as usize];
        if parent == u32::MAX || totals[node] == 0 {
            continue;
        }
        let is_tie = totals[node] == narrowest && ties > 0;
        if totals[node] > narrowest || is_tie {
            ties -= usize::from(is_tie && ties != usize::MAX);
            let child = builder.child(NodeId(parent), stacks.frames[node]);
            builder.add(child, u64::try_from(stacks.values[node]).unwrap_or(0));
            drawn[node] = child.0;
        } else {
            builder.add_narrow(NodeId(parent), totals[node]);
        }
    }
    builder.graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded};

    fn stacks(text: &str) -> Stacks {
        let profile = folded::decode(text.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        crate::stacks::tests::preorder(tree)
    }

    fn lines(graph: &Graph) -> String {
        let text = folded::encode(&graph.tree);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    #[test]
    fn values_of_narrow_frames_are_drawn_as_part_of_their_callers() {
        let stacks = stacks("a;b 100000\na;c 5\na;c;d 4\ne 3\n");
        let graph = forward(&stacks, 100);
        assert_eq!(lines(&graph), "(narrower frames) 3\na 9\na;b 100000");
        assert_eq!(graph.narrow, 12);
    }

    #[test]
    fn above_the_limit_the_widest_frames_are_drawn_and_nothing_is_lost() {
        let stacks = stacks("a;b;c;d 6\na;e 2\nf 1\n");
        let check = |nodes, expected: &str| {
            let graph = forward(&stacks, nodes);
            assert_eq!(lines(&graph), expected, "{nodes}");
        };
        check(6, "a;b;c;d 6\na;e 2\nf 1");
        check(3, "(narrower frames) 1\na 2\na;b;c 6");
        check(2, "(narrower frames) 1\na 2\na;b 6");
        check(1, "(narrower frames) 1\na 8");
    }
}
