//! Stacks in a canonical order, which depends only on names and values and not on how the archive stored them: two
//! renderers that read the same windows from different pieces write the same bytes.

use davy_profile::flame::UNTAGGED;
use davy_profile::{FlameTree, FrameKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stacks of names with values, in preorder. Siblings have different names and are in order of these. Node 0 is the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stacks {
    /// Names of frames, sorted.
    pub(crate) names: Arc<[String]>,
    /// The name of each node, as its number; that of the root is meaningless.
    pub(crate) frames: Vec<u32>,
    /// The parent of each node, which has a lower number; the root is its own.
    pub(crate) parents: Vec<u32>,
    /// The value of each node without those below it.
    pub(crate) values: Vec<i64>,
}

/// A merged tree whose frames are numbered in order of their names.
pub(crate) struct Ranked {
    names: Arc<[String]>,
    /// The number of the name of each frame of the tree.
    ranks: Vec<u32>,
    /// Number of nodes of each subtree.
    sizes: Vec<u32>,
    tree: FlameTree,
}

impl Ranked {
    /// Takes a tree in preorder, as queries return it.
    pub(crate) fn new(tree: FlameTree) -> Self {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for frame in 0..tree.frames.len() {
            let name = tree.frame_name(frame as u32);
            by_name.entry(name.into_owned()).or_default().push(frame);
        }
        let mut ranks = vec![0; tree.frames.len()];
        for (rank, frames) in by_name.values().enumerate() {
            for frame in frames {
                ranks[*frame] = rank as u32;
            }
        }
        let parents = tree.stacks.parents();
        let mut sizes = vec![1u32; parents.len()];
        for node in (1..parents.len()).rev() {
            sizes[parents[node] as usize] += sizes[node];
        }
        Self {
            names: by_name.into_keys().collect(),
            ranks,
            sizes,
            tree,
        }
    }

    /// Nodes directly below a node.
    fn children(&self, node: usize) -> impl Iterator<Item = usize> {
        let end = node + self.sizes[node] as usize;
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next += self.sizes[child] as usize;
                child
            })
        })
    }

    /// The groups of the label `by`, and their nodes. Samples without the label are in none.
    pub(crate) fn groups(&self, by: &str) -> BTreeMap<String, usize> {
        let mut groups = BTreeMap::new();
        for node in self.children(0) {
            let frame = self.tree.stacks.items()[node];
            let name = self.tree.frame_name(frame);
            let value = name.strip_prefix(by).and_then(|of| of.strip_prefix('='));
            let is_group = self.tree.frames[frame as usize].kind == FrameKind::Group;
            if let Some(value) = value.filter(|of| is_group && *of != UNTAGGED) {
                groups.insert(value.to_owned(), node);
            }
        }
        groups
    }

    /// The sum of the positive values of a group.
    pub(crate) fn total(&self, node: usize) -> u64 {
        let values = &self.tree.values[node..node + self.sizes[node] as usize];
        values
            .iter()
            .map(|value| u64::try_from(*value).unwrap_or(0))
            .fold(0, u64::saturating_add)
    }

    /// The stacks of all groups.
    pub(crate) fn all(&self) -> Stacks {
        let groups: Vec<usize> = self
            .children(0)
            .filter(|node| {
                let frame = self.tree.stacks.items()[*node] as usize;
                self.tree.frames[frame].kind == FrameKind::Group
            })
            .collect();
        if groups.is_empty() {
            self.merged(&[0])
        } else {
            self.merged(&groups)
        }
    }

    /// The stacks below some nodes.
    pub(crate) fn merged(&self, roots: &[usize]) -> Stacks {
        let items = self.tree.stacks.items();
        let count = roots.iter().map(|root| self.sizes[*root] as usize).sum();
        let mut out = Stacks {
            names: Arc::clone(&self.names),
            frames: Vec::with_capacity(count),
            parents: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
        };
        // The nodes of the tree that are not merged yet, those of the next node last: where they begin, and its parent.
        let mut parts: Vec<(u32, u32)> = roots.iter().map(|root| (0, *root as u32)).collect();
        let mut pending = vec![(0usize, 0u32)];
        let mut children: Vec<(u32, u32)> = Vec::new();
        while let Some((start, parent)) = pending.pop() {
            let node = out.frames.len() as u32;
            children.clear();
            let (mut value, frame) = (0i64, parts[start].0);
            let mut is_sorted = true;
            for (_, part) in &parts[start..] {
                value = value.saturating_add(self.tree.values[*part as usize]);
                for child in self.children(*part as usize) {
                    let rank = self.ranks[items[child] as usize];
                    is_sorted &= children.last().is_none_or(|(last, _)| *last <= rank);
                    children.push((rank, child as u32));
                }
            }
            parts.truncate(start);
            out.frames.push(frame);
            out.parents.push(parent);
            out.values.push(value);
            if !is_sorted {
                children.sort_unstable();
            }
            for same in children.chunk_by(|a, b| a.0 == b.0).rev() {
                pending.push((parts.len(), node));
                parts.extend_from_slice(same);
            }
        }
        out
    }
}

impl Stacks {
    /// The stacks of a merged tree in preorder.
    pub fn of(tree: FlameTree) -> Self {
        Ranked::new(tree).all()
    }

    /// Number of nodes, with the root.
    #[expect(clippy::len_without_is_empty, reason = "the root is always present")]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// The sum of all positive values.
    pub fn total(&self) -> u64 {
        let positive = self
            .values
            .iter()
            .map(|value| u64::try_from(*value).unwrap_or(0));
        positive.fold(0, u64::saturating_add)
    }

    /// Number of stacks with a value.
    pub fn count(&self) -> usize {
        self.values.iter().filter(|value| **value != 0).count()
    }

    /// The sum of the positive values of each node and those below it.
    pub(crate) fn totals(&self) -> Vec<u64> {
        let positive = self
            .values
            .iter()
            .map(|value| u64::try_from(*value).unwrap_or(0));
        let mut totals: Vec<u64> = positive.collect();
        for node in (1..totals.len()).rev() {
            let parent = self.parents[node] as usize;
            totals[parent] = totals[parent].saturating_add(totals[node]);
        }
        totals
    }

    /// The sum of all negative values, which have no box.
    pub(crate) fn negative(&self) -> i128 {
        let negative = self.values.iter().filter(|value| **value < 0);
        negative.map(|value| i128::from(*value)).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use davy_base::Random;
    use davy_profile::NodeId;

    /// The stacks of a tree in any order.
    pub(crate) fn preorder(tree: FlameTree) -> Stacks {
        let mut sorted = FlameTree::new();
        let mut nodes = vec![NodeId::ROOT; tree.stacks.len()];
        tree.walk(|node, _| {
            if node != NodeId::ROOT {
                let name = tree.frame_name(tree.stacks.item(node)).into_owned();
                let kind = tree.frames[tree.stacks.item(node) as usize].kind;
                let frame = sorted.named_frame(&name, kind);
                nodes[node.index()] = sorted.child(nodes[tree.stacks.parent(node).index()], frame);
            }
            sorted.add(nodes[node.index()], tree.values[node.index()]);
        });
        Stacks::of(sorted)
    }

    /// Random stacks, in which names repeat at all depths.
    pub(crate) fn random(seed: u64) -> Stacks {
        let mut random = Random::seeded(seed);
        let mut tree = FlameTree::new();
        for _ in 0..200 {
            let parent = NodeId(random.below(tree.stacks.len() as u64) as u32);
            let name = format!("f{}", random.below(9));
            let frame = tree.named_frame(&name, FrameKind::Function);
            let node = tree.child(parent, frame);
            tree.add(node, random.below(5) as i64 - 1);
        }
        preorder(tree)
    }

    #[test]
    fn stacks_do_not_depend_on_the_order_in_which_they_were_merged() {
        let build = |stacks: &[(&[&str], i64)]| {
            let mut tree = FlameTree::new();
            for (stack, value) in stacks {
                let mut node = NodeId::ROOT;
                for name in *stack {
                    let frame = tree.named_frame(name, FrameKind::Function);
                    node = tree.child(node, frame);
                }
                tree.add(node, *value);
            }
            preorder(tree)
        };
        let one = build(&[(&["b", "c"], 1), (&["a"], 2), (&["b", "a"], 3)]);
        let other = build(&[(&["b", "a"], 3), (&["b", "c"], 1), (&["a"], 2)]);
        assert_eq!(one, other);
        assert_eq!(one.total(), 6);
    }

    #[test]
    fn groups_are_merged_and_their_labels_left_out() {
        let mut tree = FlameTree::new();
        for (member, value) in [("gc", 1), ("api", 2), (UNTAGGED, 4)] {
            let group = tree.named_frame(&format!("member={member}"), FrameKind::Group);
            let group = tree.child(NodeId::ROOT, group);
            let frame = tree.named_frame("main", FrameKind::Function);
            let node = tree.child(group, frame);
            tree.add(node, value);
        }
        let ranked = Ranked::new(tree);
        let groups = ranked.groups("member");
        assert_eq!(groups.keys().collect::<Vec<_>>(), ["api", "gc"]);
        assert_eq!(ranked.total(groups["api"]), 2);
        let all = ranked.all();
        assert_eq!((all.len(), all.total()), (2, 7));
        assert_eq!(ranked.merged(&[groups["gc"]]).total(), 1);
    }
}
