//! Stacks of frames with values.

use super::frame::{self, Frame, FrameKind};
use super::mappings::MappingTable;
use crate::{Mapping, NodeId, StackTree, StringTable};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// Stacks of frames, each with a value.
///
/// Node 0 is the root; its own value is that of samples without frames.
#[derive(Clone, Debug)]
pub struct FlameTree {
    /// Strings of the frames.
    pub strings: StringTable,
    /// Mappings of the frames.
    pub mappings: MappingTable,
    /// Distinct frames.
    pub frames: Vec<Frame>,
    /// Stacks; items are indices into `frames`.
    pub stacks: StackTree,
    /// Own value of each node, by id.
    pub values: Vec<i64>,
    pub(super) frame_index: FxHashMap<Frame, u32>,
    /// The last mapping whose module was looked up, and that of its module.
    pub(super) last_module: (u32, u32),
}

impl Default for FlameTree {
    fn default() -> Self {
        Self {
            strings: StringTable::new(),
            mappings: MappingTable::default(),
            frames: Vec::new(),
            stacks: StackTree::new(),
            values: vec![0],
            frame_index: FxHashMap::default(),
            last_module: (0, 0),
        }
    }
}

impl FlameTree {
    /// Returns a tree that contains the root only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the index of a frame, and adds the frame if it is new. Its strings and its mapping are this
    /// tree's.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        let index = self.frame_as(frame.identity(), frame);
        self.frames[index as usize].absorb(frame.address);
        index
    }

    /// Returns the index of the function of a frame, and adds it if it is new. Only what identifies the
    /// function in every build is compared: its names, its file, and the name of its module; of a frame
    /// without a name the file and the line, or the build and the address.
    pub fn function(&mut self, frame: Frame) -> u32 {
        if frame.kind != FrameKind::Function {
            return self.frame(frame);
        }
        let name = frame.name.0 | frame.system_name.0;
        if !frame.is_named() {
            return self.frame(Frame {
                is_inlined: false,
                is_folded: false,
                ..frame
            });
        }
        let first_line = if frame.start_line == 0 {
            frame.line
        } else {
            frame.start_line
        };
        let function = Frame {
            start_line: if name == 0 {
                first_line
            } else {
                frame.start_line
            },
            line: 0,
            column: 0,
            mapping: self.module(frame.mapping),
            address: 0,
            is_inlined: false,
            is_folded: false,
            ..frame
        };
        let key = Frame {
            start_line: if name == 0 { first_line } else { 0 },
            ..function
        };
        self.frame_as(key, function)
    }

    /// Returns the index of the frame with this key, and adds `frame` if the key is new.
    fn frame_as(&mut self, key: Frame, frame: Frame) -> u32 {
        *self.frame_index.entry(key).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }

    /// The mapping that has nothing but the name of another one's file, without its folder.
    fn module(&mut self, mapping: u32) -> u32 {
        if self.last_module.0 == mapping {
            return self.last_module.1;
        }
        let of = self.mappings.get(mapping);
        let name = of.map_or("", |of| frame::module_name(self.strings.get(of.file)));
        let module = if name.is_empty() {
            0
        } else {
            let name = name.to_owned();
            let file = self.strings.intern(&name);
            self.mappings.number(Mapping {
                file,
                ..Mapping::default()
            })
        };
        self.last_module = (mapping, module);
        module
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

    /// What a frame is called: its name, its symbol, its file and line, its address and module, or
    /// `(anonymous)`, whichever is the first that is known.
    pub fn frame_name(&self, frame: u32) -> Cow<'_, str> {
        let frame = &self.frames[frame as usize];
        let text = |id| self.strings.get(id);
        let line = if frame.line == 0 {
            frame.start_line
        } else {
            frame.line
        };
        let mapping = self.mappings.get(frame.mapping);
        match (text(frame.name), text(frame.system_name), text(frame.file)) {
            ("", "", "") if frame.address == 0 && mapping.is_none() => Cow::Borrowed("(anonymous)"),
            ("", "", "") => {
                let module = mapping.map_or("", |mapping| frame::module_name(text(mapping.file)));
                let module = if module.is_empty() { "unknown" } else { module };
                Cow::Owned(format!("{:#x} [{module}]", frame.address))
            }
            ("", "", file) if line == 0 => Cow::Borrowed(file),
            ("", "", file) => Cow::Owned(format!("{file}:{line}")),
            ("", symbol, _) => Cow::Borrowed(symbol),
            (name, ..) => Cow::Borrowed(name),
        }
    }

    /// The file name of a frame's module, such as `libc.so.6`, without its folder; "" if unknown.
    pub fn frame_module(&self, frame: u32) -> &str {
        let mapping = self.mappings.get(self.frames[frame as usize].mapping);
        mapping.map_or("", |mapping| {
            frame::module_name(self.strings.get(mapping.file))
        })
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

    /// Sum of the values of each node's subtree, by id; the closest number that 64 bits hold.
    pub fn totals(&self) -> Vec<i64> {
        self.exact_totals().into_iter().map(clamped).collect()
    }

    pub(super) fn exact_totals(&self) -> Vec<i128> {
        let mut totals: Vec<i128> = self.values.iter().copied().map(i128::from).collect();
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

pub(super) fn clamped(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
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
