//! The reversed graph: leaves first, and their callers below. It is merged from the leaves, level by level, and only as
//! far as its nodes are wide enough to be drawn, so the reversed stacks never exist.

use crate::graph::{Builder, Graph, narrowest};
use crate::stacks::Stacks;
use davy_profile::NodeId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Stacks that end with the same frames, and where their next callers are.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    value: u64,
    /// The order in which groups were made, which decides between equal ones.
    number: Reverse<u32>,
    start: usize,
    end: usize,
    node: u32,
}

/// The graph of callees above their callers, of at most `nodes` nodes: the widest.
pub(crate) fn reversed(stacks: &Stacks, nodes: usize) -> Graph {
    // A node whose frame is the next caller, and the value of the stack that began with it.
    let values = stacks.values.iter().enumerate().skip(1);
    let mut entries: Vec<(u32, u64)> = values
        .filter(|(_, value)| **value > 0)
        .map(|(node, value)| (node as u32, value.unsigned_abs()))
        .collect();
    let narrowest = narrowest(stacks.total());
    let mut builder = Builder::new(stacks);
    builder.add(NodeId::ROOT, u64::try_from(stacks.values[0]).unwrap_or(0));
    let mut drawn = 0;
    let mut number = 0;
    let mut groups = BinaryHeap::new();
    groups.push(Group {
        value: u64::MAX,
        number: Reverse(0),
        start: 0,
        end: entries.len(),
        node: 0,
    });
    while let Some(Group {
        value,
        start,
        end,
        node,
        ..
    }) = groups.pop()
    {
        let parent = NodeId(node);
        if drawn >= nodes && node != 0 {
            builder.add_narrow(parent, value);
            continue;
        }
        entries[start..end]
            .sort_unstable_by_key(|(node, _)| (stacks.frames[*node as usize], *node));
        let mut at = start;
        while at < end {
            let frame = stacks.frames[entries[at].0 as usize];
            let same = entries[at..end]
                .partition_point(|(node, _)| stacks.frames[*node as usize] == frame);
            let next = at + same;
            let sum = entries[at..next]
                .iter()
                .fold(0u64, |sum, (_, value)| sum.saturating_add(*value));
            if sum < narrowest || drawn >= nodes {
                builder.add_narrow(parent, sum);
                at = next;
                continue;
            }
            drawn += 1;
            let child = builder.child(parent, frame);
            // One step towards the roots. Siblings have different frames, so no two entries meet here.
            let (mut kept, mut ended) = (at, 0u64);
            for from in at..next {
                let (node, value) = entries[from];
                let caller = stacks.parents[node as usize];
                if caller == 0 {
                    ended = ended.saturating_add(value);
                } else {
                    entries[kept] = (caller, value);
                    kept += 1;
                }
            }
            builder.add(child, ended);
            if kept > at {
                number += 1;
                groups.push(Group {
                    value: sum - ended,
                    number: Reverse(number),
                    start: at,
                    end: kept,
                    node: child.0,
                });
            }
            at = next;
        }
    }
    builder.graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stacks::tests::{preorder, random};
    use davy_profile::flame::Grain;
    use davy_profile::{FlameTree, FrameKind, Limits, folded};
    use std::collections::BTreeMap;

    /// Lines of a tree, which are sorted and whose values are added up.
    fn lines(tree: &FlameTree) -> BTreeMap<String, i64> {
        let mut lines = BTreeMap::new();
        for line in folded::encode(tree).lines() {
            let (stack, value) = folded::split(line).expect("a value");
            *lines.entry(stack.to_owned()).or_default() += value.parse::<i64>().expect("a number");
        }
        lines
    }

    #[test]
    fn stacks_are_merged_from_their_leaves() {
        let text = "main;a;x 3\nmain;b;x 4\nmain;x 1\nmain 2\n";
        let profile = folded::decode(text.as_bytes(), &Limits::default()).expect("valid");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        let graph = reversed(&preorder(tree), 100);
        let expected = [("main", 2), ("x;a;main", 3), ("x;b;main", 4), ("x;main", 1)];
        let expected = expected.map(|(stack, value)| (stack.to_owned(), value));
        assert_eq!(lines(&graph.tree), BTreeMap::from(expected));
        let graph = reversed(
            &preorder({
                let mut tree = FlameTree::new();
                tree.add_profile(&profile, 0, Grain::Function);
                tree
            }),
            2,
        );
        let expected = [("main", 2), ("x", 8)];
        let expected = expected.map(|(stack, value)| (stack.to_owned(), value));
        assert_eq!(lines(&graph.tree), BTreeMap::from(expected));
        assert_eq!(graph.narrow, 8);
    }

    #[test]
    fn reversed_graph_of_random_stacks_equals_that_of_reversed_lines() {
        for seed in 0..50 {
            let stacks = random(seed);
            let mut expected = FlameTree::new();
            for node in 1..stacks.len() {
                let value = stacks.values[node];
                if value <= 0 {
                    continue;
                }
                let (mut at, mut to) = (node, NodeId::ROOT);
                while at != 0 {
                    let name = &stacks.names[stacks.frames[at] as usize];
                    let frame = expected.named_frame(name, FrameKind::Function);
                    to = expected.child(to, frame);
                    at = stacks.parents[at] as usize;
                }
                expected.add(to, value);
            }
            let graph = reversed(&stacks, 100_000);
            assert_eq!(lines(&graph.tree), lines(&expected), "seed {seed}");
            assert_eq!(graph.narrow, 0);
        }
    }
}
