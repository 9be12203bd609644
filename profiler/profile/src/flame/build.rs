//! Merges profiles and trees into a tree.

use super::frame::{Frame, FrameKind};
use super::tree::FlameTree;
use crate::{Mapping, NodeId, Profile, StackTree, StringId, StringTable};
use std::collections::BTreeMap;

/// Value of a label that a sample does not have.
pub const UNTAGGED: &str = "(untagged)";

/// Which frames of a function are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// All of them, as in flame graphs.
    Function,
    /// Those of the same location: nothing of a profile is lost.
    Location,
}

/// Ids of another table's strings in this table, translated at first use.
pub(crate) struct Translation(Vec<StringId>);

impl Translation {
    pub(crate) fn new(from: &StringTable) -> Self {
        Self(vec![StringId(u32::MAX); from.len()])
    }

    pub(crate) fn get(
        &mut self,
        id: StringId,
        from: &StringTable,
        to: &mut StringTable,
    ) -> StringId {
        let known = &mut self.0[id.0 as usize];
        if known.0 == u32::MAX {
            *known = to.intern(from.get(id));
        }
        *known
    }
}

/// Frames of another tree in this tree. Each string and mapping is translated at first use.
pub struct Adoption {
    texts: Translation,
    mappings: Vec<u32>,
}

impl Adoption {
    /// An adoption of frames of `from`; every call of [`Adoption::frame`] must be for the same two trees.
    pub fn new(from: &FlameTree) -> Self {
        Self {
            texts: Translation::new(&from.strings),
            mappings: vec![0; from.mappings.len()],
        }
    }

    /// A frame with the strings and the mapping of `to`.
    pub fn frame(&mut self, frame: &Frame, from: &FlameTree, to: &mut FlameTree) -> Frame {
        let mapping = match frame.mapping.checked_sub(1) {
            None => 0,
            Some(at) => {
                if self.mappings[at as usize] == 0 {
                    let mapping = from.mappings[at as usize];
                    let mut text = |id| self.texts.get(id, &from.strings, &mut to.strings);
                    let (file, build_id) = (text(mapping.file), text(mapping.build_id));
                    self.mappings[at as usize] = to.mappings.number(Mapping {
                        file,
                        build_id,
                        ..mapping
                    });
                }
                self.mappings[at as usize]
            }
        };
        let mut text = |id| self.texts.get(id, &from.strings, &mut to.strings);
        Frame {
            name: text(frame.name),
            system_name: text(frame.system_name),
            file: text(frame.file),
            mapping,
            ..*frame
        }
    }
}

impl FlameTree {
    /// Adds all samples of a profile. `sample_type` is an index.
    pub fn add_profile(&mut self, profile: &Profile, sample_type: usize, grain: Grain) {
        self.add_profile_by(profile, sample_type, grain, &[]);
    }

    /// Like [`add_profile`](Self::add_profile), with each sample below a group for each label in `by`,
    /// such as `member=api`; a sample without the label is in the group `member=(untagged)`.
    pub fn add_profile_by(
        &mut self,
        profile: &Profile,
        sample_type: usize,
        grain: Grain,
        by: &[&str],
    ) {
        let frames = self.frames_of(profile, grain);
        let mut groups: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
        for sample in 0..profile.sample_count() {
            let group = by.iter().map(|label| profile.label(sample, label));
            groups.entry(group.collect()).or_default().push(sample);
        }
        for (group, samples) in groups {
            let group = by.iter().zip(group);
            let under = group.fold(NodeId::ROOT, |node, (label, value)| {
                let value = if value.is_empty() { UNTAGGED } else { value };
                let frame = self.named_frame(&format!("{label}={value}"), FrameKind::Group);
                self.child(node, frame)
            });
            let mut nodes = vec![None; profile.stacks.len()];
            nodes[NodeId::ROOT.index()] = Some(under);
            for sample in samples {
                let stack = profile.samples.stacks[sample].index();
                let node = self.node_of(stack, &profile.stacks, &frames, &mut nodes);
                self.add(node, profile.values(sample)[sample_type]);
            }
        }
    }

    /// Returns the node for another tree's stack. `nodes` caches the known nodes by stack, and must
    /// contain the root's.
    fn node_of(
        &mut self,
        stack: usize,
        stacks: &StackTree,
        frames: &[Vec<u32>],
        nodes: &mut [Option<NodeId>],
    ) -> NodeId {
        let mut path = Vec::new();
        let mut at = stack;
        let mut node = loop {
            match nodes[at] {
                Some(node) => break node,
                None => path.push(at),
            }
            at = stacks.parents()[at] as usize;
        };
        for at in path.into_iter().rev() {
            let frames = frames[stacks.items()[at] as usize].iter();
            node = frames.fold(node, |node, frame| self.child(node, *frame));
            nodes[at] = Some(node);
        }
        node
    }

    /// The frames of each location, from root to leaf.
    fn frames_of(&mut self, profile: &Profile, grain: Grain) -> Vec<Vec<u32>> {
        let mut texts = Translation::new(&profile.strings);
        let mut mappings = Vec::with_capacity(profile.mappings.len());
        for mapping in &profile.mappings {
            let mut text = |id| texts.get(id, &profile.strings, &mut self.strings);
            let (file, build_id) = (text(mapping.file), text(mapping.build_id));
            mappings.push(self.mappings.number(Mapping {
                file,
                build_id,
                ..*mapping
            }));
        }
        let mut frames: Vec<Vec<u32>> = vec![Vec::new(); profile.locations.len()];
        for (frames, location) in frames.iter_mut().zip(&profile.locations) {
            let own = Frame {
                mapping: location.mapping.map_or(0, |at| mappings[at as usize]),
                address: profile.relative_address(location),
                is_folded: location.is_folded,
                ..Frame::default()
            };
            // The last line belongs to the outermost function.
            let lines = profile.lines_of(location).iter().rev();
            for line in lines.filter(|line| profile.is_informative(line)) {
                let function = profile.functions[line.function as usize];
                let mut text = |id| texts.get(id, &profile.strings, &mut self.strings);
                let frame = Frame {
                    name: text(function.name),
                    system_name: text(function.system_name),
                    file: text(function.file),
                    start_line: Frame::line_number(function.start_line),
                    line: Frame::line_number(line.line),
                    column: Frame::line_number(line.column),
                    ..own
                };
                let frame = if frames.is_empty() {
                    frame
                } else {
                    frame.inlined()
                };
                frames.push(self.frame_at(frame, grain));
            }
            if frames.is_empty() {
                frames.push(self.frame_at(own, grain));
            }
        }
        frames
    }

    /// The index of a frame, or of its function.
    pub fn frame_at(&mut self, frame: Frame, grain: Grain) -> u32 {
        match grain {
            Grain::Function => self.function(frame),
            Grain::Location => self.frame(frame),
        }
    }

    /// Adds another tree, by function.
    pub fn merge(&mut self, other: &Self) {
        self.merge_under(NodeId::ROOT, other);
    }

    /// Adds another tree below a node of this one, by function.
    pub fn merge_under(&mut self, under: NodeId, other: &Self) {
        let mut adoption = Adoption::new(other);
        let mut frames = Vec::with_capacity(other.frames.len());
        for frame in &other.frames {
            let frame = adoption.frame(frame, other, self);
            frames.push(self.function(frame));
        }
        let mut nodes = vec![under; other.stacks.len()];
        for node in 0..other.stacks.len() {
            if node > 0 {
                let parent = nodes[other.stacks.parents()[node] as usize];
                nodes[node] = self.child(parent, frames[other.stacks.items()[node] as usize]);
            }
            self.add(nodes[node], other.values[node]);
        }
    }
}
