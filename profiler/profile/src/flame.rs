//! The tree that a flame graph shows: stacks of frames with values.

mod build;
mod shape;
#[cfg(test)]
mod tests;

pub use build::Grain;
pub use shape::FunctionTotal;

use crate::{NodeId, StackTree, StringId, StringTable};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// What a frame represents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A function.
    #[default]
    Function = 0,
    /// A group of a query (`member=api`).
    Group = 1,
    /// The point at which a stack deeper than the limit was truncated.
    Cut = 2,
}

/// A frame. Samples whose frames are equal are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Name, "" if unsymbolized.
    pub name: StringId,
    /// Source file, "" if unknown.
    pub file: StringId,
    /// First line of the function, 0 if unknown.
    pub start_line: u32,
    /// Line, 0 if unknown or if the tree merges the lines of a function.
    pub line: u32,
    /// Path of the binary if unsymbolized, otherwise "".
    pub module: StringId,
    /// Build id of the binary if unsymbolized, otherwise "".
    pub build_id: StringId,
    /// Address if unsymbolized, otherwise 0.
    pub address: u64,
    /// What the frame represents.
    pub kind: FrameKind,
}

/// Stacks of frames, each with a value.
///
/// Node 0 is the root; its own value is that of samples without frames.
#[derive(Clone, Debug)]
pub struct FlameTree {
    /// Strings of the frames.
    pub strings: StringTable,
    /// Distinct frames.
    pub frames: Vec<Frame>,
    /// Stacks; items are indices into `frames`.
    pub stacks: StackTree,
    /// Own value of each node, by id.
    pub values: Vec<i64>,
    frame_index: FxHashMap<Frame, u32>,
}

impl Default for FlameTree {
    fn default() -> Self {
        Self {
            strings: StringTable::new(),
            frames: Vec::new(),
            stacks: StackTree::new(),
            values: vec![0],
            frame_index: FxHashMap::default(),
        }
    }
}

impl FlameTree {
    /// Returns a tree that contains the root only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the index of a frame, and adds the frame if it is new. Its strings are in this tree's
    /// table.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        *self.frame_index.entry(frame).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }

    /// Returns the index of a frame that has a name only, and adds it if it is new.
    pub fn named_frame(&mut self, name: &str, kind: FrameKind) -> u32 {
        let name = self.strings.intern(name);
        self.frame(Frame {
            name,
            kind,
            ..Frame::default()
        })
    }

    /// Name of a frame; address and binary if it is unsymbolized.
    pub fn frame_name(&self, frame: u32) -> Cow<'_, str> {
        let frame = &self.frames[frame as usize];
        let name = self.strings.get(frame.name);
        if !name.is_empty() || frame.address == 0 {
            return Cow::Borrowed(name);
        }
        let module = self.strings.get(frame.module);
        let file = module.rsplit('/').next().unwrap_or(module);
        Cow::Owned(format!(
            "{:#x} [{}]",
            frame.address,
            if file.is_empty() { "unknown" } else { file }
        ))
    }

    /// Returns the child of `parent` for `frame`, and adds it with the value 0 if it is new.
    #[inline]
    pub fn child(&mut self, parent: NodeId, frame: u32) -> NodeId {
        let node = self.stacks.child(parent, frame);
        if node.index() == self.values.len() {
            self.values.push(0);
        }
        node
    }

    /// Adds to a node's own value.
    #[inline]
    pub fn add(&mut self, node: NodeId, value: i64) {
        let own = &mut self.values[node.index()];
        *own = own.saturating_add(value);
    }

    /// Sum of the values of each node's subtree, by id.
    pub fn totals(&self) -> Vec<i64> {
        let mut totals = self.values.clone();
        self.stacks.add_up(&mut totals);
        totals
    }

    /// Visits every node and its depth in preorder, siblings in order of their ids. The root has
    /// depth 0.
    pub fn walk(&self, mut visit: impl FnMut(NodeId, usize)) {
        let children = Children::of(&self.stacks);
        let mut pending = vec![(0u32, 0usize)];
        while let Some((node, depth)) = pending.pop() {
            visit(NodeId(node), depth);
            pending.extend(
                children
                    .of_node(node)
                    .iter()
                    .rev()
                    .map(|child| (*child, depth + 1)),
            );
        }
    }
}

/// The children of every node, grouped by a counting sort.
pub(crate) struct Children {
    starts: Vec<u32>,
    children: Vec<u32>,
}

impl Children {
    pub(crate) fn of(stacks: &StackTree) -> Self {
        let parents = stacks.parents();
        let mut starts = vec![0u32; parents.len() + 1];
        for parent in &parents[1..] {
            starts[*parent as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut children = vec![0u32; parents.len() - 1];
        for (node, parent) in parents.iter().enumerate().skip(1) {
            let at = &mut next[*parent as usize];
            children[*at as usize] = node as u32;
            *at += 1;
        }
        Self { starts, children }
    }

    pub(crate) fn of_node(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.children[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    pub(crate) fn of_node_mut(&mut self, node: u32) -> &mut [u32] {
        let node = node as usize;
        &mut self.children[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}
