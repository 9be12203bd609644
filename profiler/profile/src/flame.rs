//! A tree of functions with their values: what a flame graph shows.

mod build;
mod shape;
#[cfg(test)]
mod tests;

pub use build::Grain;
pub use shape::FunctionTotal;

use crate::{NodeId, StackTree, StringId, StringTable};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// What a frame stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A function.
    #[default]
    Function = 0,
    /// A group that a query made (`member=api`).
    Group = 1,
    /// The place where a stack deeper than the limit was cut.
    Cut = 2,
}

/// A frame: what two samples must share to be drawn as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Name, "" of an unsymbolized place.
    pub name: StringId,
    /// Source file, "" where it is not known.
    pub file: StringId,
    /// First line of the function, 0 where it is not known.
    pub start_line: u32,
    /// Line, 0 where it is not known or where the tree is one of whole functions.
    pub line: u32,
    /// Path of the binary; only of an unsymbolized place, otherwise "".
    pub module: StringId,
    /// Build id of the binary; only of an unsymbolized place, otherwise "".
    pub build_id: StringId,
    /// Address of an unsymbolized place, otherwise 0.
    pub address: u64,
    /// What it stands for.
    pub kind: FrameKind,
}

/// Stacks of frames with a value each.
///
/// Node 0 is the root; its own value is what has no frame at all.
#[derive(Clone, Debug)]
pub struct FlameTree {
    /// Texts of the frames.
    pub strings: StringTable,
    /// Distinct frames.
    pub frames: Vec<Frame>,
    /// Stacks; items are indices into `frames`.
    pub stacks: StackTree,
    /// Each node's own value.
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
    /// A tree of the root alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of this frame, which is added if it is new. Its texts are of this tree's table.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        *self.frame_index.entry(frame).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }

    /// The index of a frame that is a name and no more.
    pub fn named_frame(&mut self, name: &str, kind: FrameKind) -> u32 {
        let name = self.strings.intern(name);
        self.frame(Frame {
            name,
            kind,
            ..Frame::default()
        })
    }

    /// A frame's name for people; of an unsymbolized place its address and binary.
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

    /// The node for `frame` under `parent`, made with the value 0 if it is new.
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

    /// The values of whole subtrees, by node.
    pub fn totals(&self) -> Vec<i64> {
        let mut totals = self.values.clone();
        self.stacks.add_up(&mut totals);
        totals
    }

    /// Visits every node after its parent and before its next sibling, with its depth; the root
    /// has depth 0. Siblings come in the order of their numbers.
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

/// The children of every node, found by counting.
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
