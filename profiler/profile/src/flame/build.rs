//! Merges profiles and trees into a tree, and converts a tree to a profile.

use super::{FlameTree, Frame, FrameKind};
use crate::{Function, Line, Mapping, NodeId, Profile, StackTree, StringId, StringTable};
use std::collections::BTreeMap;

/// Value of a label that a sample does not have.
const UNTAGGED: &str = "(untagged)";

/// Which frames of a function are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// All of them, as in flame graphs.
    Function,
    /// Those of the same line, as in pprof and source views.
    Line,
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
        let mut frames: Vec<Vec<u32>> = vec![Vec::new(); profile.locations.len()];
        for (index, location) in profile.locations.iter().enumerate() {
            let lines = profile.lines_of(location);
            let mapping = location
                .mapping
                .map(|mapping| &profile.mappings[mapping as usize]);
            if lines.is_empty() {
                let mut text = |id| texts.get(id, &profile.strings, &mut self.strings);
                let frame = Frame {
                    module: mapping.map_or(StringId(0), |m| text(m.file)),
                    build_id: mapping.map_or(StringId(0), |m| text(m.build_id)),
                    address: location.address,
                    ..Frame::default()
                };
                frames[index].push(self.frame(frame));
            }
            // The last line belongs to the outermost function.
            for line in lines.iter().rev() {
                let function = match line.function {
                    Line::NO_FUNCTION => Function::default(),
                    function => profile.functions[function as usize],
                };
                let mut text = |id| texts.get(id, &profile.strings, &mut self.strings);
                let frame = Frame {
                    name: text(if function.name.0 == 0 {
                        function.system_name
                    } else {
                        function.name
                    }),
                    file: text(function.file),
                    start_line: function.start_line.clamp(0, u32::MAX.into()) as u32,
                    line: if grain == Grain::Line {
                        line.line.clamp(0, u32::MAX.into()) as u32
                    } else {
                        0
                    },
                    ..Frame::default()
                };
                frames[index].push(self.frame(frame));
            }
        }
        frames
    }

    /// Adds another tree.
    pub fn merge(&mut self, other: &Self) {
        self.merge_under(NodeId::ROOT, other);
    }

    /// Adds another tree below a node of this one.
    pub fn merge_under(&mut self, under: NodeId, other: &Self) {
        let mut texts = Translation::new(&other.strings);
        let mut frames = Vec::with_capacity(other.frames.len());
        for frame in &other.frames {
            let mut text = |id| texts.get(id, &other.strings, &mut self.strings);
            let taken = Frame {
                name: text(frame.name),
                file: text(frame.file),
                module: text(frame.module),
                build_id: text(frame.build_id),
                ..*frame
            };
            frames.push(self.frame(taken));
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

    /// Converts to a profile with one sample type. Inlined frames become ordinary frames.
    pub fn to_profile(&self, kind: &str, unit: &str) -> Profile {
        let mut profile = Profile::new();
        // Keeps the ids of the strings.
        profile.strings = self.strings.clone();
        profile.add_sample_type(kind, unit);
        let mut locations = Vec::with_capacity(self.frames.len());
        for (index, frame) in self.frames.iter().enumerate() {
            let mapping = (frame.address != 0).then(|| {
                let mapping = Mapping {
                    file: frame.module,
                    build_id: frame.build_id,
                    ..Mapping::default()
                };
                let known = profile.mappings.iter().position(|m| *m == mapping);
                known.unwrap_or_else(|| {
                    profile.mappings.push(mapping);
                    profile.mappings.len() - 1
                }) as u32
            });
            if frame.name.0 == 0 && frame.address != 0 {
                locations.push(profile.location(mapping, frame.address, &[]));
                continue;
            }
            let name = if frame.name.0 == 0 {
                profile.strings.intern(&self.frame_name(index as u32))
            } else {
                frame.name
            };
            let function = profile.function(Function {
                name,
                system_name: name,
                file: frame.file,
                start_line: frame.start_line.into(),
            });
            let line = Line {
                function,
                line: frame.line.into(),
                column: 0,
            };
            locations.push(profile.location(mapping, 0, &[line]));
        }
        let mut nodes = vec![NodeId::ROOT; self.stacks.len()];
        for node in 0..self.stacks.len() {
            if node > 0 {
                let parent = nodes[self.stacks.parents()[node] as usize];
                let location = locations[self.stacks.items()[node] as usize];
                nodes[node] = profile.stacks.child(parent, location);
            }
            if self.values[node] != 0 {
                profile.add_sample(nodes[node], crate::LabelSetId(0), &[self.values[node]]);
            }
        }
        profile
    }
}
