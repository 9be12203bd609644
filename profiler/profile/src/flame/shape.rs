//! Reductions of a tree: its largest nodes, the stacks through a function, the table of functions.

use super::frame::{Frame, FrameKind};
use super::tree::{Children, FlameTree, clamped};
use crate::NodeId;
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
    /// Selects the root and at most `max_nodes` nodes that are groups or at least half a pixel wide where the whole tree takes
    /// `width` pixels, if that is not 0: groups first, since the query named them, then nodes by the magnitude of their
    /// totals, and among equal ones those closer to the root. The ancestors of a selected node are selected. Returns
    /// the totals, too.
    pub(crate) fn largest(&self, max_nodes: usize, width: usize) -> (Vec<bool>, Vec<i64>) {
        let count = self.stacks.len();
        // The sums of the magnitudes below each node, so that a parent's is at least its child's.
        let mut weights: Vec<i64> = self.values.iter().map(|of| of.saturating_abs()).collect();
        self.stacks.add_up_magnitudes(&mut weights);
        let has_negative = self.values.iter().any(|value| *value < 0);
        let totals = if has_negative {
            self.totals()
        } else {
            weights.clone()
        };
        let is_group: Vec<bool> = self
            .frames
            .iter()
            .map(|f| f.kind == FrameKind::Group)
            .collect();
        let is_group = |node: usize| is_group[self.stacks.items()[node] as usize];
        let whole = i128::from(totals[0]).abs();
        let is_wide = |weight: i64| i128::from(weight) * 2 * width as i128 >= whole;
        let mut keep: Vec<bool> = if width == 0 {
            vec![true; count]
        } else {
            let shown =
                |(node, weight): (usize, &i64)| node == 0 || is_wide(*weight) || is_group(node);
            weights.iter().enumerate().map(shown).collect()
        };
        let shown = (1..count as u32).filter(|node| keep[*node as usize]);
        let mut order: Vec<u32> = shown.collect();
        if order.len() > max_nodes {
            // A parent's weight is at least its child's, its id is lower, and the ancestors of a group are
            // groups. So a parent sorts before its child, and the first `max_nodes` nodes include the
            // parents of all of them.
            let key = |node: &u32| {
                let at = *node as usize;
                (!is_group(at), std::cmp::Reverse(weights[at]), *node)
            };
            if max_nodes > 0 {
                order.select_nth_unstable_by_key(max_nodes - 1, key);
            }
            for node in &order[max_nodes..] {
                keep[*node as usize] = false;
            }
        }
        (keep, totals)
    }

    /// Returns a tree of at most `max_nodes` nodes and the root. The value of a removed node is added to
    /// its closest remaining ancestor, so all totals stay exact.
    pub fn prune(&self, max_nodes: usize) -> Self {
        self.prune_mapped(max_nodes).0
    }

    /// [`prune`](Self::prune), with the node of the result that holds the value of each node.
    pub fn prune_mapped(&self, max_nodes: usize) -> (Self, Vec<NodeId>) {
        let (keep, _) = self.largest(max_nodes, 0);
        let frames: Vec<u32> = (0..self.frames.len() as u32).collect();
        let result = Self {
            frames: self.frames.clone(),
            frame_index: self.frame_index.clone(),
            ..self.without_stacks()
        };
        self.copy_stacks(result, |node, item| keep[node].then(|| frames[item]))
    }

    /// Returns a tree without the nodes that have no value in or below them, and without the frames that no stack has then.
    pub fn trimmed(&self) -> Self {
        let magnitudes = self.values.iter().map(|value| i128::from(*value).abs());
        let mut weights: Vec<i128> = magnitudes.collect();
        self.stacks.add_up(&mut weights);
        let mut result = self.without_stacks();
        let mut frames: Vec<Option<u32>> = vec![None; self.frames.len()];
        for (node, item) in self.stacks.items().iter().enumerate().skip(1) {
            let frame = &mut frames[*item as usize];
            if weights[node] > 0 && frame.is_none() {
                *frame = Some(result.frame(self.frames[*item as usize]));
            }
        }
        let kept = |node: usize, item: usize| frames[item].filter(|_| weights[node] > 0);
        self.copy_stacks(result, kept).0
    }

    /// A tree with the strings and mappings of this one only, to which its frames can be added.
    pub fn without_stacks(&self) -> Self {
        Self {
            strings: self.strings.clone(),
            mappings: self.mappings.clone(),
            ..Self::new()
        }
    }

    /// Copies all stacks into `result`, which returns with the node that holds the value of each node. `frame`
    /// returns the frame in `result` of a node and its item, or `None` if the node is left out.
    fn copy_stacks(
        &self,
        mut result: Self,
        frame: impl Fn(usize, usize) -> Option<u32>,
    ) -> (Self, Vec<NodeId>) {
        let mut nodes = vec![NodeId::ROOT; self.stacks.len()];
        for node in 0..self.stacks.len() {
            if node > 0 {
                let parent = nodes[self.stacks.parents()[node] as usize];
                let frame = frame(node, self.stacks.items()[node] as usize);
                nodes[node] = frame.map_or(parent, |frame| result.child(parent, frame));
            }
            result.add(nodes[node], self.values[node]);
        }
        (result, nodes)
    }

    /// Whether the stack of each node has a frame that matches. `matches` is called once for the index of each frame.
    pub fn through(&self, matches: impl Fn(u32) -> bool) -> Vec<bool> {
        let hit: Vec<bool> = (0..self.frames.len() as u32).map(matches).collect();
        let mut through = vec![false; self.stacks.len()];
        for node in 1..self.stacks.len() {
            let parent = self.stacks.parents()[node] as usize;
            through[node] = through[parent] || hit[self.stacks.items()[node] as usize];
        }
        through
    }

    /// Returns a tree without the frames that match, and the node of the result that holds the value of each
    /// node. The callees of a hidden frame become callees of its callers. `matches` is called once for the index of each
    /// frame.
    pub fn hide_mapped(&self, matches: impl Fn(u32) -> bool) -> (Self, Vec<NodeId>) {
        let is_hidden: Vec<bool> = (0..self.frames.len() as u32).map(matches).collect();
        let mut result = self.without_stacks();
        let visible: Vec<Option<u32>> = is_hidden
            .iter()
            .zip(&self.frames)
            .map(|(is_hidden, frame)| (!is_hidden).then(|| result.frame(*frame)))
            .collect();
        // The hidden frame at whose location each node is, if nothing else of that location is visible above it.
        let mut containers: Vec<Option<u32>> = vec![None; self.stacks.len()];
        let mut frames = vec![None; self.stacks.len()];
        for node in 1..self.stacks.len() {
            let item = self.stacks.items()[node];
            let frame = self.frames[item as usize];
            let container = if frame.is_inlined {
                containers[self.stacks.parents()[node] as usize]
            } else {
                Some(item)
            };
            frames[node] = visible[item as usize];
            if frames[node].is_none() {
                containers[node] = container;
            } else if let Some(container) = container.filter(|_| frame.is_inlined) {
                let container = self.frames[container as usize];
                frames[node] = Some(result.frame(Frame {
                    address: container.address,
                    is_folded: container.is_folded,
                    is_inlined: false,
                    ..frame
                }));
            }
        }
        self.copy_stacks(result, |node, _| frames[node])
    }

    /// Visits all nodes except the root, with `true` before those below them and with `false` after them.
    fn enter_and_leave(&self, mut visit: impl FnMut(usize, bool)) {
        let parents = self.stacks.parents();
        if self.stacks.is_preorder() {
            let mut path: Vec<u32> = Vec::new();
            for (node, parent) in parents.iter().enumerate().skip(1) {
                while let Some(left) = path.pop_if(|last| *last != *parent) {
                    visit(left as usize, false);
                }
                visit(node, true);
                path.push(node as u32);
            }
            return;
        }
        let children = Children::of(&self.stacks);
        // A node is popped twice: when it is entered, and, marked with LEAVE, when it is left.
        let mut pending: Vec<u32> = children.of_node(0).to_vec();
        while let Some(at) = pending.pop() {
            let node = at & !LEAVE;
            visit(node as usize, at & LEAVE == 0);
            if at & LEAVE == 0 {
                pending.push(node | LEAVE);
                pending.extend_from_slice(children.of_node(node));
            }
        }
    }

    /// The `limit` functions of the largest own values, ties broken by the total. Groups are left out.
    pub fn top(&self, limit: usize) -> Vec<FunctionTotal> {
        // Merges the frames of a function.
        let mut functions: FxHashMap<Frame, usize> = FxHashMap::default();
        let mut of_frame = Vec::with_capacity(self.frames.len());
        let mut rows: Vec<(u32, i128, i128)> = Vec::new();
        for (index, frame) in self.frames.iter().enumerate() {
            let function = Frame {
                start_line: if frame.name.0 == 0 {
                    frame.start_line
                } else {
                    0
                },
                line: 0,
                column: 0,
                is_inlined: false,
                is_folded: false,
                ..*frame
            };
            let row = *functions.entry(function).or_insert_with(|| {
                rows.push((index as u32, 0, 0));
                rows.len() - 1
            });
            of_frame.push(row);
        }
        let totals = self.exact_totals();
        let mut open = vec![0u32; rows.len()];
        self.enter_and_leave(|node, is_entered| {
            let row = of_frame[self.stacks.items()[node] as usize];
            if !is_entered {
                open[row] -= 1;
                return;
            }
            if open[row] == 0 {
                rows[row].2 += totals[node];
            }
            rows[row].1 += i128::from(self.values[node]);
            open[row] += 1;
        });
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
                own: clamped(own),
                total: clamped(total),
            })
            .collect()
    }
}

/// Marks a node that is left. Trees have far fewer than 2^31 nodes.
const LEAVE: u32 = 1 << 31;
