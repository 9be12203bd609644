//! A tree of stacks: stacks share the nodes of their common roots.

use crate::words::WordMap;

/// Index of a node in its [`StackTree`]; 0 is the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The node of the empty stack.
    pub const ROOT: Self = Self(0);

    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tree in which each node is a stack: its parent's stack with one item added at the leaf.
///
/// A parent's id is always lower than its children's. So one backward pass over the ids adds up
/// values towards the root, and one forward pass propagates anything towards the leaves.
#[derive(Clone, Debug)]
pub struct StackTree {
    parents: Vec<u32>,
    items: Vec<u32>,
    /// Nodes by (parent, item), of those below `indexed`.
    index: WordMap<2>,
    indexed: usize,
}

impl Default for StackTree {
    fn default() -> Self {
        Self {
            parents: vec![0],
            items: vec![u32::MAX],
            index: WordMap::new(),
            indexed: 1,
        }
    }
}

impl StackTree {
    /// Returns a tree that contains the root only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of nodes, including the root.
    #[expect(clippy::len_without_is_empty, reason = "the root is always present")]
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Adds all nodes of another tree with the same ids to this one, which must have no node but the root. `rename` returns
    /// the item for each item, different ones for different ones. Faster than [`child`](Self::child): the nodes are indexed
    /// at the next lookup only.
    pub fn fill(&mut self, of: &Self, rename: impl Fn(u32) -> u32) {
        debug_assert_eq!(self.parents.len(), 1, "no node but the root");
        self.parents.extend_from_slice(&of.parents[1..]);
        self.items
            .extend(of.items[1..].iter().map(|item| rename(*item)));
    }

    /// Returns the child of `parent` for `item`, and adds it if it is new. `parent` must be a node of
    /// this tree.
    #[inline]
    pub fn child(&mut self, parent: NodeId, item: u32) -> NodeId {
        debug_assert!(
            parent.index() < self.parents.len(),
            "the parent is in this tree"
        );
        if self.indexed < self.parents.len() {
            self.catch_up();
        }
        let id = self.parents.len() as u32;
        let found = self.index.find_or_insert([parent.0, item], id);
        if found == id {
            self.parents.push(parent.0);
            self.items.push(item);
            self.indexed += 1;
        }
        NodeId(found)
    }

    /// Adds a child of `parent` for `item`, which `parent` must not have yet. Faster than [`child`](Self::child):
    /// such nodes are indexed at the next lookup only.
    #[inline]
    pub fn push(&mut self, parent: NodeId, item: u32) -> NodeId {
        self.parents.push(parent.0);
        self.items.push(item);
        NodeId(self.parents.len() as u32 - 1)
    }

    /// Indexes the nodes that `push` added.
    #[cold]
    fn catch_up(&mut self) {
        let first = self.indexed;
        self.index.reserve(self.parents.len() - first);
        for id in first..self.parents.len() {
            self.index
                .find_or_insert([self.parents[id], self.items[id]], id as u32);
        }
        self.indexed = self.parents.len();
    }

    /// Prepares calls of [`child`](Self::child) that follow, for nodes and items that do not depend on each other.
    pub fn prefetch(&self, children: impl Iterator<Item = (NodeId, u32)>) {
        self.index
            .prefetch(children.map(|(parent, item)| [parent.0, item]));
    }

    /// Reserves capacity for `nodes` more nodes.
    pub fn reserve(&mut self, nodes: usize) {
        self.parents.reserve(nodes);
        self.items.reserve(nodes);
        self.index.reserve(nodes);
    }

    /// Reserves capacity for `nodes` more nodes that are pushed.
    pub(crate) fn reserve_unindexed(&mut self, nodes: usize) {
        self.parents.reserve(nodes);
        self.items.reserve(nodes);
    }

    /// Parent of a node; the root is its own parent.
    pub fn parent(&self, node: NodeId) -> NodeId {
        NodeId(self.parents[node.index()])
    }

    /// The item that the node adds to its parent's stack; `u32::MAX` for the root.
    pub fn item(&self, node: NodeId) -> u32 {
        self.items[node.index()]
    }

    /// Parent of each node, by id.
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }

    /// Item of each node, by id.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Items of a node's stack, from the leaf to the root.
    pub fn leaf_to_root(&self, node: NodeId) -> impl Iterator<Item = u32> {
        let mut at = node.index();
        std::iter::from_fn(move || {
            (at != 0).then(|| {
                let item = self.items[at];
                at = self.parents[at] as usize;
                item
            })
        })
    }

    /// Whether the nodes below each one follow it at once, as in a tree that was merged.
    pub(crate) fn is_preorder(&self) -> bool {
        let mut path: Vec<u32> = vec![0];
        (0..).zip(&self.parents).skip(1).all(|(node, parent)| {
            while path.pop_if(|last| *last != *parent).is_some() {}
            let is_open = !path.is_empty();
            path.push(node);
            is_open
        })
    }

    /// Replaces the value of each node, by id, which must not be negative, by the closest number to the sum over its subtree
    /// that 64 bits hold.
    pub(crate) fn add_up_magnitudes(&self, values: &mut [i64]) {
        for node in (1..self.parents.len().min(values.len())).rev() {
            let value = values[node];
            let parent = &mut values[self.parents[node] as usize];
            *parent = parent.saturating_add(value);
        }
    }

    /// Replaces the value of each node, by id, by the sum over its subtree.
    /// The values are wider than those of samples, so that their sums do not overflow.
    pub fn add_up(&self, values: &mut [i128]) {
        for node in (1..self.parents.len().min(values.len())).rev() {
            values[self.parents[node] as usize] += values[node];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushed_nodes_are_found_as_children() {
        let mut tree = StackTree::new();
        let a = tree.push(NodeId::ROOT, 7);
        let b = tree.push(a, 8);
        assert_eq!(tree.child(a, 8), b);
        assert_eq!(tree.child(NodeId::ROOT, 7), a);
        let c = tree.child(b, 8);
        let d = tree.push(c, 1);
        assert_eq!([tree.child(c, 1), tree.child(c, 2)], [d, NodeId(d.0 + 1)]);
        assert_eq!(tree.len(), 6);
    }

    #[test]
    fn preorder_is_told_from_other_orders() {
        let mut tree = StackTree::new();
        assert!(tree.is_preorder());
        let a = tree.child(NodeId::ROOT, 1);
        tree.child(a, 2);
        let b = tree.child(NodeId::ROOT, 3);
        tree.child(b, 1);
        tree.child(b, 2);
        assert!(tree.is_preorder());
        tree.child(a, 4);
        assert!(!tree.is_preorder());
    }

    #[test]
    fn filled_tree_is_the_other_one_with_other_items() {
        let mut of = StackTree::new();
        let a = of.child(NodeId::ROOT, 1);
        let b = of.child(a, 2);
        let mut tree = StackTree::new();
        tree.fill(&of, |item| item + 10);
        assert_eq!(tree.leaf_to_root(b).collect::<Vec<_>>(), [12, 11]);
        assert_eq!(tree.child(a, 12), b);
        assert_eq!(tree.child(a, 2), NodeId(3));
    }

    #[test]
    fn parents_have_lower_ids_than_children_and_values_add_up() {
        let mut tree = StackTree::new();
        let a = tree.child(NodeId::ROOT, 7);
        let b = tree.child(a, 8);
        assert_eq!(tree.child(a, 8), b);
        let c = tree.child(a, 9);
        assert_eq!(tree.leaf_to_root(c).collect::<Vec<_>>(), [9, 7]);
        let mut values = vec![0, 1, 10, 100];
        tree.add_up(&mut values);
        assert_eq!(values, [111, 111, 10, 100]);
        assert!((1..tree.len()).all(|i| (tree.parents()[i] as usize) < i));
    }
}
