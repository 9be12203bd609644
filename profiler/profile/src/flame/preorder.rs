//! Trees as columns in preorder, which are merged without looking anything up.

use super::tree::{FlameTree, clamped};
use crate::NodeId;

/// Stacks of frames in preorder, each with an exact value. Node 0 is the root.
///
/// A subtree is a range of nodes, so trees are merged from the root downwards: the children of a merged node are
/// those of the nodes that it was merged from, grouped by frame. Siblings of the same frame are merged, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preorder {
    /// Frames; that of the root is meaningless.
    frames: Vec<u32>,
    /// Number of nodes of each subtree, with the node itself.
    sizes: Vec<u32>,
    /// Own values.
    values: Vec<i128>,
    /// Whether siblings are sorted by frame and distinct.
    is_sorted: bool,
}

impl Default for Preorder {
    fn default() -> Self {
        Self {
            frames: vec![u32::MAX],
            sizes: vec![1],
            values: vec![0],
            is_sorted: true,
        }
    }
}

/// A node of one of the trees that are merged.
#[derive(Clone, Copy)]
struct Part {
    frame: u32,
    tree: u32,
    node: u32,
}

/// Adds up values by the nodes of a tree in preorder, whose nodes become a [`Preorder`].
pub struct Sums<'a> {
    /// The parent of each node; the root is number 0 and its own.
    parents: &'a [u32],
    values: Vec<i128>,
    /// Nodes whose values may not be 0.
    touched: Vec<u32>,
    /// Number of nodes that are taken of each subtree, 0 between calls.
    sizes: Vec<u32>,
}

/// A tree is gone through as a whole if at least one in this many nodes has a value.
const DENSE: usize = 8;

impl<'a> Sums<'a> {
    /// Sums of 0 for the nodes with these parents.
    pub fn new(parents: &'a [u32]) -> Self {
        Self {
            parents,
            values: vec![0; parents.len()],
            touched: Vec::new(),
            sizes: vec![0; parents.len()],
        }
    }

    /// Adds to the value of a node.
    #[inline]
    pub fn add(&mut self, node: u32, value: i128) {
        let sum = &mut self.values[node as usize];
        if *sum == 0 {
            self.touched.push(node);
        }
        *sum = sum.saturating_add(value);
    }

    /// Takes the values that were added since the last call, as `convert` changes them: the nodes that have a value
    /// other than 0 or are above one that has, below the frames `above`. `frame` returns the frame of a node, and is
    /// called once for each node that is taken.
    pub fn take<E>(
        &mut self,
        above: &[u32],
        convert: impl Fn(i128) -> i128,
        mut frame: impl FnMut(u32) -> Result<u32, E>,
    ) -> Result<Preorder, E> {
        let Self {
            parents,
            values,
            touched,
            sizes,
        } = self;
        let mut taken: Vec<u32> = Vec::new();
        if touched.len() * DENSE >= parents.len() {
            for node in (1..parents.len()).rev() {
                if values[node] != 0 || sizes[node] != 0 {
                    sizes[node] += 1;
                    sizes[parents[node] as usize] += sizes[node];
                }
            }
            let is_taken = |node: &u32| sizes[*node as usize] != 0;
            taken.extend((1..parents.len() as u32).filter(is_taken));
        } else {
            for node in touched.iter().filter(|node| values[**node as usize] != 0) {
                let mut at = *node;
                while at != 0 && sizes[at as usize] == 0 {
                    sizes[at as usize] = 1;
                    taken.push(at);
                    at = parents[at as usize];
                }
            }
            taken.sort_unstable();
            for node in taken.iter().rev() {
                sizes[parents[*node as usize] as usize] += sizes[*node as usize];
            }
        }
        let count = above.len() + taken.len() + 1;
        let mut result = Preorder {
            frames: Vec::with_capacity(count),
            sizes: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            is_sorted: false,
        };
        for (at, frame) in [u32::MAX].iter().chain(above).enumerate() {
            result.push(*frame, (count - at) as u32, 0);
        }
        result.values[above.len()] = convert(values.first().copied().unwrap_or(0));
        let mut failed = None;
        for node in &taken {
            let at = *node as usize;
            match frame(*node) {
                Ok(frame) => result.push(frame, sizes[at], convert(values[at])),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for node in touched.drain(..) {
            values[node as usize] = 0;
        }
        for node in taken.into_iter().chain([0]) {
            sizes[node as usize] = 0;
        }
        failed.map_or(Ok(result), Err)
    }
}

impl Preorder {
    #[inline]
    fn push(&mut self, frame: u32, size: u32, value: i128) {
        self.frames.push(frame);
        self.sizes.push(size);
        self.values.push(value);
    }

    /// Number of nodes, including the root.
    #[expect(clippy::len_without_is_empty, reason = "the root is always present")]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Merges trees whose frames have the same numbers. Takes time in proportion to the nodes of all trees, and
    /// memory in proportion to those of the result.
    pub fn merge(trees: &[Self]) -> Self {
        // At most this many. Unused capacity is only reserved address space.
        let all = trees.iter().map(Self::len).sum();
        let mut out = Self {
            frames: Vec::with_capacity(all),
            sizes: Vec::with_capacity(all),
            values: Vec::with_capacity(all),
            is_sorted: true,
        };
        // The parts of the nodes that are not merged yet, those of the next one last.
        let roots = (0..trees.len() as u32).map(|tree| Part {
            frame: u32::MAX,
            tree,
            node: 0,
        });
        let mut parts: Vec<Part> = roots.collect();
        // Where the parts of each of these nodes begin, and its parent.
        let mut pending = vec![(0usize, 0u32)];
        let mut parents: Vec<u32> = Vec::with_capacity(all);
        let (mut merged, mut children) = (Vec::new(), Vec::new());
        while let Some((start, parent)) = pending.pop() {
            if let [part] = parts[start..] {
                let tree = &trees[part.tree as usize];
                if tree.is_sorted {
                    parts.truncate(start);
                    out.copy(tree, part.node as usize, parent, &mut parents);
                    continue;
                }
            }
            merged.clear();
            merged.extend_from_slice(&parts[start..]);
            parts.truncate(start);
            let node = out.frames.len() as u32;
            let value = |part: &Part| trees[part.tree as usize].values[part.node as usize];
            let value = merged.iter().map(value).fold(0i128, i128::saturating_add);
            let frame = merged.first().map_or(u32::MAX, |part| part.frame);
            out.push(frame, 1, value);
            parents.push(parent);
            children.clear();
            let mut is_sorted = true;
            for part in &merged {
                let of = &trees[part.tree as usize];
                let mut at = part.node as usize + 1;
                let end = part.node as usize + of.sizes[part.node as usize] as usize;
                while at < end {
                    let child = Part {
                        frame: of.frames[at],
                        tree: part.tree,
                        node: at as u32,
                    };
                    is_sorted &= children
                        .last()
                        .is_none_or(|last: &Part| last.frame <= child.frame);
                    children.push(child);
                    at += of.sizes[at] as usize;
                }
            }
            if !is_sorted {
                children.sort_unstable_by_key(|child| child.frame);
            }
            for same in children.chunk_by(|a, b| a.frame == b.frame).rev() {
                pending.push((parts.len(), node));
                parts.extend_from_slice(same);
            }
        }
        for node in (1..out.len()).rev() {
            out.sizes[parents[node] as usize] += out.sizes[node];
        }
        out
    }

    /// Copies a subtree of `tree`. The sizes are 1; the caller adds them up.
    fn copy(&mut self, tree: &Self, node: usize, parent: u32, parents: &mut Vec<u32>) {
        let end = node + tree.sizes[node] as usize;
        let first = self.frames.len();
        self.frames.extend_from_slice(&tree.frames[node..end]);
        self.values.extend_from_slice(&tree.values[node..end]);
        self.sizes.resize(self.frames.len(), 1);
        parents.push(parent);
        // The nodes whose subtrees have not ended, and their ends.
        let mut open = vec![(first as u32, end)];
        for at in node + 1..end {
            while open.last().is_some_and(|(_, end)| *end <= at) {
                open.pop();
            }
            parents.push(open.last().map_or(parent, |(node, _)| *node));
            if tree.sizes[at] > 1 {
                open.push(((first + at - node) as u32, at + tree.sizes[at] as usize));
            }
        }
    }

    /// The number of the parent of each node; the root is its own.
    fn parents(&self) -> Vec<u32> {
        let mut parents = vec![0; self.len()];
        let mut open: Vec<(u32, usize)> = Vec::new();
        for (at, parent) in parents.iter_mut().enumerate() {
            while open.last().is_some_and(|(_, end)| *end <= at) {
                open.pop();
            }
            *parent = open.last().map_or(0, |(node, _)| *node);
            if self.sizes[at] > 1 {
                open.push((at as u32, at + self.sizes[at] as usize));
            }
        }
        parents
    }

    /// Keeps at most `max_nodes` nodes and the root: `groups` first, then nodes by the magnitude of their totals. The
    /// value of a removed node is added to its closest remaining ancestor, so all totals stay exact. The ancestors of
    /// a group are groups.
    pub fn prune(self, max_nodes: usize, groups: impl Fn(u32) -> bool) -> Self {
        if self.len() - 1 <= max_nodes {
            return self;
        }
        let parents = self.parents();
        let mut weights: Vec<i128> = self.values.iter().map(|value| value.abs()).collect();
        for node in (1..self.len()).rev() {
            weights[parents[node] as usize] += weights[node];
        }
        // A parent's weight is at least its child's and its number is lower, so it sorts before its child.
        let mut order: Vec<u32> = (1..self.len() as u32).collect();
        if max_nodes > 0 {
            order.select_nth_unstable_by_key(max_nodes - 1, |node| {
                let at = *node as usize;
                let is_group = groups(self.frames[at]);
                (!is_group, std::cmp::Reverse(weights[at]), *node)
            });
        }
        let mut is_kept = vec![false; self.len()];
        for node in [0].iter().chain(&order[..max_nodes]) {
            is_kept[*node as usize] = true;
        }
        let mut kept = Self {
            is_sorted: self.is_sorted,
            frames: Vec::with_capacity(max_nodes + 1),
            sizes: Vec::with_capacity(max_nodes + 1),
            values: Vec::with_capacity(max_nodes + 1),
        };
        // The new number of each node, or that of its closest ancestor that is kept.
        let mut targets: Vec<u32> = vec![0; self.len()];
        let mut kept_parents = Vec::with_capacity(max_nodes + 1);
        for node in 0..self.len() {
            let parent = targets[parents[node] as usize];
            if is_kept[node] {
                targets[node] = kept.len() as u32;
                kept_parents.push(parent);
                kept.push(self.frames[node], 1, self.values[node]);
            } else {
                targets[node] = parent;
                let own = &mut kept.values[parent as usize];
                *own = own.saturating_add(self.values[node]);
            }
        }
        for node in (1..kept.len()).rev() {
            kept.sizes[kept_parents[node] as usize] += kept.sizes[node];
        }
        kept
    }
}

impl FlameTree {
    /// Replaces the stacks by those of `tree`, whose frames are numbers of this tree's. `value` converts values, of
    /// which the closest that 64 bits hold are taken.
    pub fn set_stacks(&mut self, tree: Preorder, value: impl Fn(i128) -> i128) {
        let tree = if tree.is_sorted {
            tree
        } else {
            Preorder::merge(&[tree])
        };
        let parents = tree.parents();
        self.stacks = crate::StackTree::new();
        self.stacks.reserve_unindexed(tree.len());
        for (parent, frame) in parents.into_iter().zip(&tree.frames).skip(1) {
            self.stacks.push(NodeId(parent), *frame);
        }
        self.values = tree
            .values
            .into_iter()
            .map(|of| clamped(value(of)))
            .collect();
    }
}

#[cfg(test)]
mod tests;
