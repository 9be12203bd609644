//! Reductions of a tree: its largest nodes, the stacks through a function, the table of functions.

use super::{Children, FlameTree, FrameKind};
use crate::{NodeId, StringId};
use rustc_hash::FxHashMap;

/// The values of a function in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionTotal {
    /// Name.
    pub name: String,
    /// Source file, "" if unknown.
    pub file: String,
    /// Value of the function without its callees.
    pub own: i64,
    /// Value of the function with its callees; recursive calls count once.
    pub total: i64,
}

impl FlameTree {
    /// Selects at most `max_nodes` nodes and the root: groups first, since the query named them, then
    /// nodes by the magnitude of their totals, and among equal ones those closer to the root. The
    /// ancestors of a selected node are selected.
    pub(crate) fn largest(&self, max_nodes: usize) -> Vec<bool> {
        let count = self.stacks.len();
        if count - 1 <= max_nodes {
            return vec![true; count];
        }
        let mut weights: Vec<i64> = self.values.iter().map(|v| v.saturating_abs()).collect();
        self.stacks.add_up(&mut weights);
        let mut order: Vec<u32> = (1..count as u32).collect();
        let is_group: Vec<bool> = self
            .frames
            .iter()
            .map(|f| f.kind == FrameKind::Group)
            .collect();
        // A parent's weight is at least its child's, its id is lower, and the ancestors of a group are
        // groups. So a parent sorts before its child, and the first `max_nodes` nodes include the
        // parents of all of them.
        let key = |node: &u32| {
            let group = is_group[self.stacks.items()[*node as usize] as usize];
            (!group, std::cmp::Reverse(weights[*node as usize]), *node)
        };
        if max_nodes > 0 {
            order.select_nth_unstable_by_key(max_nodes - 1, key);
        }
        let mut keep = vec![false; count];
        keep[0] = true;
        for node in &order[..max_nodes] {
            keep[*node as usize] = true;
        }
        keep
    }

    /// Returns a tree of at most `max_nodes` nodes and the root. The value of a removed node is added to
    /// its closest remaining ancestor, so all totals stay exact.
    pub fn prune(&self, max_nodes: usize) -> Self {
        let keep = self.largest(max_nodes);
        let mut nodes = vec![NodeId::ROOT; self.stacks.len()];
        let mut result = Self {
            strings: self.strings.clone(),
            frames: self.frames.clone(),
            ..Self::new()
        };
        for (index, frame) in self.frames.iter().enumerate() {
            result.frame_index.insert(*frame, index as u32);
        }
        for node in 0..self.stacks.len() {
            if node > 0 {
                let parent = nodes[self.stacks.parents()[node] as usize];
                nodes[node] = if keep[node] {
                    result.child(parent, self.stacks.items()[node])
                } else {
                    parent
                };
            }
            result.add(nodes[node], self.values[node]);
        }
        result
    }

    /// Sets the value of a stack to 0 unless one of its frames matches, or, if `through` is false,
    /// unless none does.
    pub fn retain(&mut self, matches: impl Fn(&str) -> bool, through: bool) {
        let hit: Vec<bool> = (0..self.frames.len())
            .map(|f| matches(&self.frame_name(f as u32)))
            .collect();
        let mut passed = vec![false; self.stacks.len()];
        for node in 0..self.stacks.len() {
            if node > 0 {
                let parent = self.stacks.parents()[node] as usize;
                passed[node] = passed[parent] || hit[self.stacks.items()[node] as usize];
            }
            if passed[node] != through {
                self.values[node] = 0;
            }
        }
    }

    /// Returns a tree without the frames that match; their callees become callees of their callers.
    pub fn hide(&self, matches: impl Fn(&str) -> bool) -> Self {
        let mut result = Self {
            strings: self.strings.clone(),
            ..Self::new()
        };
        let frames: Vec<Option<u32>> = (0..self.frames.len())
            .map(|f| (!matches(&self.frame_name(f as u32))).then(|| result.frame(self.frames[f])))
            .collect();
        let mut nodes = vec![NodeId::ROOT; self.stacks.len()];
        for node in 0..self.stacks.len() {
            if node > 0 {
                let parent = nodes[self.stacks.parents()[node] as usize];
                let frame = frames[self.stacks.items()[node] as usize];
                nodes[node] = frame.map_or(parent, |frame| result.child(parent, frame));
            }
            result.add(nodes[node], self.values[node]);
        }
        result
    }

    /// The `limit` functions of the largest own values, ties broken by the total. Groups are left out.
    pub fn top(&self, limit: usize) -> Vec<FunctionTotal> {
        // Merges the lines of a function.
        let mut functions: FxHashMap<(StringId, StringId, u64), usize> = FxHashMap::default();
        let mut of_frame = Vec::with_capacity(self.frames.len());
        let mut rows: Vec<(u32, i64, i64)> = Vec::new();
        for (index, frame) in self.frames.iter().enumerate() {
            let row = *functions
                .entry((frame.name, frame.file, frame.address))
                .or_insert_with(|| {
                    rows.push((index as u32, 0, 0));
                    rows.len() - 1
                });
            of_frame.push(row);
        }
        let totals = self.totals();
        let children = Children::of(&self.stacks);
        let mut open = vec![0u32; rows.len()];
        // A node is popped twice: when it is entered, and, marked with LEAVE, when it is left.
        let mut pending: Vec<u32> = children.of_node(0).to_vec();
        while let Some(at) = pending.pop() {
            let leaving = at & LEAVE != 0;
            let node = (at & !LEAVE) as usize;
            let row = of_frame[self.stacks.items()[node] as usize];
            if leaving {
                open[row] -= 1;
                continue;
            }
            if open[row] == 0 {
                rows[row].2 = rows[row].2.saturating_add(totals[node]);
            }
            rows[row].1 = rows[row].1.saturating_add(self.values[node]);
            open[row] += 1;
            pending.push(node as u32 | LEAVE);
            pending.extend_from_slice(children.of_node(node as u32));
        }
        rows.retain(|(frame, ..)| self.frames[*frame as usize].kind == FrameKind::Function);
        rows.sort_by_key(|(frame, own, total)| {
            (std::cmp::Reverse(*own), std::cmp::Reverse(*total), *frame)
        });
        rows.truncate(limit);
        rows.into_iter()
            .map(|(frame, own, total)| FunctionTotal {
                name: self.frame_name(frame).into_owned(),
                file: self
                    .strings
                    .get(self.frames[frame as usize].file)
                    .to_owned(),
                own,
                total,
            })
            .collect()
    }
}

/// Marks a node that is left. Trees have far fewer than 2^31 nodes.
const LEAVE: u32 = 1 << 31;
