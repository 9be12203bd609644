//! Profiles and trees into a tree, and out again.

use super::{FlameTree, Frame};
use crate::{Function, Line, Mapping, NodeId, Profile, StringId, StringTable};

/// What tells two frames of the same function apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Nothing: flame graphs show whole functions.
    Function,
    /// The line: pprof and source views.
    Line,
}

/// Strings of another table, taken over when they are first needed.
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
    /// Adds all samples of a profile, by the sample type of this index.
    pub fn add_profile(&mut self, profile: &Profile, sample_type: usize, grain: Grain) {
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
            // The last line is the function that holds the others, and so nearest to the root.
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
        let mut values = vec![0i64; profile.stacks.len()];
        for sample in 0..profile.sample_count() {
            let own = &mut values[profile.samples.stacks[sample].index()];
            *own = own.saturating_add(profile.values(sample)[sample_type]);
        }
        let mut nodes = vec![NodeId::ROOT; profile.stacks.len()];
        for node in 0..profile.stacks.len() {
            if node > 0 {
                let parent = nodes[profile.stacks.parents()[node] as usize];
                let location = profile.stacks.items()[node] as usize;
                nodes[node] = frames[location]
                    .iter()
                    .fold(parent, |at, frame| self.child(at, *frame));
            }
            self.add(nodes[node], values[node]);
        }
    }

    /// Adds another tree's values to this one's.
    pub fn merge(&mut self, other: &Self) {
        self.merge_under(NodeId::ROOT, other);
    }

    /// Adds another tree below a node of this one, as a group of its own.
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

    /// As a profile with one sample type. An inlined frame has become a frame as any other.
    pub fn to_profile(&self, kind: &str, unit: &str) -> Profile {
        let mut profile = Profile::new();
        // The numbers of this tree's strings stay as they are.
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
