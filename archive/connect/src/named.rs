//! Trees by the names of functions, with a value on each of N sides, limited to their largest nodes.

use davy_profile::{FlameTree, FrameKind, NodeId};

/// The name of the node that stands for omitted children.
pub(crate) const OTHER: &str = "other";
/// The name of the root.
pub(crate) const TOTAL: &str = "total";

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node<const N: usize> {
    /// Index in [`Named::names`].
    pub(crate) name: u32,
    pub(crate) own: [i64; N],
    pub(crate) total: [i64; N],
    /// Sorted by name.
    pub(crate) children: Vec<u32>,
}

/// A tree. Node 0 is the root, named [`TOTAL`]; children have higher numbers than their parents.
#[derive(Clone, Debug)]
pub(crate) struct Named<const N: usize> {
    pub(crate) names: Vec<String>,
    pub(crate) nodes: Vec<Node<N>>,
}

impl<const N: usize> Named<N> {
    /// Merges the nodes of the same names. Keeps the `max_nodes` largest; the children that are omitted of a node are one
    /// child named [`OTHER`] with their exact total.
    pub(crate) fn of(sides: [&FlameTree; N], max_nodes: usize) -> Self {
        let (tree, own) = by_name(sides);
        let (pruned, kept) = tree.prune_mapped(max_nodes);
        let mut named = Self {
            names: vec![TOTAL.to_owned()],
            nodes: Vec::with_capacity(pruned.stacks.len()),
        };
        let mut name_of = vec![u32::MAX; pruned.frames.len()];
        for node in 0..pruned.stacks.len() {
            let mut name = 0;
            if node > 0 {
                let frame = pruned.stacks.item(NodeId(node as u32));
                let known = &mut name_of[frame as usize];
                if *known == u32::MAX {
                    *known = named.names.len() as u32;
                    named.names.push(pruned.frame_name(frame).into_owned());
                }
                name = *known;
            }
            named.push(name, pruned.stacks.parents()[node]);
        }
        named.add_values(&tree, &own, &kept);
        named.finish();
        named
    }

    fn push(&mut self, name: u32, parent: u32) -> u32 {
        let node = self.nodes.len() as u32;
        if node > 0 {
            self.nodes[parent as usize].children.push(node);
        }
        self.nodes.push(Node {
            name,
            own: [0; N],
            total: [0; N],
            children: Vec::new(),
        });
        node
    }

    /// Adds the values of all nodes; those of omitted ones to the node [`OTHER`] of their closest kept ancestor.
    fn add_values(&mut self, tree: &FlameTree, own: &[Vec<i64>; N], kept: &[NodeId]) {
        let mut other_of = vec![u32::MAX; self.nodes.len()];
        let mut other_name = None;
        for node in 0..tree.stacks.len() {
            let at = kept[node].0;
            let parent = tree.stacks.parents()[node] as usize;
            let is_omitted = node > 0 && kept[parent].0 == at;
            let to = if is_omitted {
                if other_of[at as usize] == u32::MAX {
                    let name = *other_name.get_or_insert_with(|| {
                        self.names.push(OTHER.to_owned());
                        self.names.len() as u32 - 1
                    });
                    other_of[at as usize] = self.push(name, at);
                }
                other_of[at as usize]
            } else {
                at
            };
            for (side, own) in own.iter().enumerate() {
                let sum = &mut self.nodes[to as usize].own[side];
                *sum = sum.saturating_add(own[node]);
            }
        }
    }

    /// Adds up totals and sorts children.
    fn finish(&mut self) {
        for node in (0..self.nodes.len()).rev() {
            let mut total = self.nodes[node].own;
            let mut children = std::mem::take(&mut self.nodes[node].children);
            for child in &children {
                let of_child = self.nodes[*child as usize].total;
                for side in 0..N {
                    total[side] = total[side].saturating_add(of_child[side]);
                }
            }
            let name = |child: &u32| &*self.names[self.nodes[*child as usize].name as usize];
            children.sort_by(|a, b| name(a).cmp(name(b)));
            self.nodes[node].total = total;
            self.nodes[node].children = children;
        }
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: u32) -> &str {
        &self.names[self.nodes[node as usize].name as usize]
    }

    /// The largest own value of a node.
    pub(crate) fn max_self(&self) -> i64 {
        let own = self.nodes.iter().flat_map(|node| node.own);
        own.max().unwrap_or(0).max(0)
    }

    /// Visits every node and its depth, parents before their children, siblings by name.
    pub(crate) fn walk(&self, mut visit: impl FnMut(u32, usize)) {
        let mut pending = vec![(0u32, 0usize)];
        while let Some((node, depth)) = pending.pop() {
            visit(node, depth);
            let children = &self.nodes[node as usize].children;
            pending.extend(children.iter().rev().map(|child| (*child, depth + 1)));
        }
    }
}

/// The nodes of all sides by name, with the magnitude of both as value, and the own values of each side.
fn by_name<const N: usize>(sides: [&FlameTree; N]) -> (FlameTree, [Vec<i64>; N]) {
    let mut tree = FlameTree::new();
    let mut own: [Vec<i64>; N] = std::array::from_fn(|_| Vec::new());
    for (side, of) in sides.into_iter().enumerate() {
        let mut frames = vec![u32::MAX; of.frames.len()];
        let mut nodes = vec![NodeId::ROOT; of.stacks.len()];
        for node in 0..of.stacks.len() {
            if node > 0 {
                let item = of.stacks.item(NodeId(node as u32));
                let frame = &mut frames[item as usize];
                if *frame == u32::MAX {
                    *frame = tree.named_frame(&of.frame_name(item), FrameKind::Function);
                }
                let parent = nodes[of.stacks.parents()[node] as usize];
                nodes[node] = tree.child(parent, *frame);
            }
            let at = nodes[node].index();
            if own[side].len() <= at {
                own[side].resize(at + 1, 0);
            }
            let value = of.values[node];
            own[side][at] = own[side][at].saturating_add(value);
            tree.add(nodes[node], value.saturating_abs());
        }
    }
    for own in &mut own {
        own.resize(tree.stacks.len(), 0);
    }
    (tree, own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::flame::Grain;
    use davy_profile::{Limits, folded};

    pub(crate) fn tree(folded: &str) -> FlameTree {
        let profile = folded::decode(folded.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        tree
    }

    fn drawn<const N: usize>(named: &Named<N>) -> String {
        let mut out = String::new();
        named.walk(|node, depth| {
            let of = &named.nodes[node as usize];
            let (name, own, total) = (named.name(node), of.own, of.total);
            out.push_str(&format!("{}{name} {own:?} {total:?}\n", " ".repeat(depth)));
        });
        out
    }

    #[test]
    fn omitted_children_are_one_node_with_their_exact_total() {
        let tree = tree("main;a 5\nmain;b;x 3\nmain;b;y 1\nmain;c 2\nidle 1\n");
        let all = Named::of([&tree], 100);
        assert_eq!(
            drawn(&all),
            "total [0] [12]\n idle [1] [1]\n main [0] [11]\n  a [5] [5]\n  b [0] [4]\n   x [3] [3]\n   y [1] [1]\n  c [2] [2]\n"
        );
        let largest = Named::of([&tree], 3);
        assert_eq!(
            drawn(&largest),
            "total [0] [12]\n main [0] [11]\n  a [5] [5]\n  b [0] [4]\n   other [4] [4]\n  other [2] [2]\n other [1] [1]\n"
        );
        assert_eq!(
            drawn(&Named::of([&tree], 0)),
            "total [0] [12]\n other [12] [12]\n"
        );
    }

    #[test]
    fn sides_share_the_nodes_of_either() {
        let (left, right) = (tree("main;a 5\nmain 1\n"), tree("main;b 2\n"));
        let both = Named::of([&left, &right], 100);
        assert_eq!(
            drawn(&both),
            "total [0, 0] [6, 2]\n main [1, 0] [6, 2]\n  a [5, 0] [5, 0]\n  b [0, 2] [0, 2]\n"
        );
    }
}
