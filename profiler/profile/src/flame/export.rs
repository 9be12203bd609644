//! Converts the stacks of a tree to those of a profile.

use super::frame::{Frame, FrameKind};
use super::tree::FlameTree;
use crate::{Function, LabelSetId, Line, NodeId, Profile};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// The stacks of a tree in a profile.
pub struct Exported {
    /// The profile, without sample types and samples.
    pub profile: Profile,
    /// The stack in the profile of each node of the tree.
    pub stacks: Vec<NodeId>,
}

impl FlameTree {
    /// The value of each stack by the names of its frames, from the root to the leaf, for comparisons. Stacks of
    /// the same names are added up, and those whose values add up to 0 are left out.
    pub fn values_by_stack(&self) -> BTreeMap<Vec<String>, i64> {
        let mut path: Vec<String> = Vec::new();
        let mut stacks: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        self.walk(|node, depth| {
            if node != NodeId::ROOT {
                path.truncate(depth - 1);
                path.push(self.frame_name(self.stacks.item(node)).into_owned());
            }
            let value = self.values[node.index()];
            if value != 0 {
                let sum = stacks.entry(path.clone()).or_default();
                *sum = sum.saturating_add(value);
            }
        });
        stacks.retain(|_, value| *value != 0);
        stacks
    }

    /// A profile with the locations and stacks of this tree, whose frames should have the grain
    /// [`Grain::Location`](super::Grain::Location). Frames that were inlined share the location of the
    /// frame that contains them. The main mapping is the first one, as tools expect.
    pub fn export(&self) -> Exported {
        let mut profile = Profile::new();
        // Keeps the ids of the strings.
        profile.strings = self.strings.clone();
        let mut mappings: Vec<Option<u32>> = vec![None; self.mappings.len()];
        let mut order: Vec<usize> = (0..self.mappings.len()).collect();
        order.sort_by_key(|at| !self.mappings[*at].is_main);
        let mut is_used = vec![false; self.mappings.len()];
        for frame in &self.frames {
            if let Some(at) = frame.mapping.checked_sub(1) {
                is_used[at as usize] = true;
            }
        }
        let is_kept = |at: &usize| is_used[*at] || self.mappings[*at].is_main;
        for at in order.into_iter().filter(is_kept) {
            mappings[at] = Some(profile.mappings.len() as u32);
            profile.mappings.push(self.mappings[at]);
        }
        let mut export = Export {
            tree: self,
            profile,
            mappings,
            folded: FxHashMap::default(),
        };
        let stacks = export.stacks();
        Exported {
            profile: export.profile,
            stacks,
        }
    }

    /// Converts to a profile with one sample type.
    pub fn to_profile(&self, kind: &str, unit: &str) -> Profile {
        let Exported {
            mut profile,
            stacks,
        } = self.export();
        profile.add_sample_type(kind, unit);
        for (stack, value) in stacks.into_iter().zip(&self.values) {
            if *value != 0 {
                profile.add_sample(stack, LabelSetId(0), &[*value]);
            }
        }
        profile
    }
}

struct Export<'a> {
    tree: &'a FlameTree,
    profile: Profile,
    /// Index in the profile of each mapping of the tree that is used.
    mappings: Vec<Option<u32>>,
    /// Copies of locations whose code several functions share.
    folded: FxHashMap<u32, u32>,
}

impl Export<'_> {
    fn stacks(&mut self) -> Vec<NodeId> {
        let (parents, items) = (self.tree.stacks.parents(), self.tree.stacks.items());
        let mut stacks = vec![NodeId::ROOT; parents.len()];
        // The caller of each node's location.
        let mut callers = vec![NodeId::ROOT; parents.len()];
        let mut lines = Vec::new();
        for node in 1..parents.len() {
            let parent = parents[node] as usize;
            let is_inlined = |node: usize| {
                let frame = &self.tree.frames[items[node] as usize];
                frame.is_inlined && parents[node] != 0
            };
            callers[node] = if is_inlined(node) {
                callers[parent]
            } else {
                stacks[parent]
            };
            // From this frame to the one that contains the code.
            let mut path = vec![node];
            let mut at = node;
            while is_inlined(at) {
                at = parents[at] as usize;
                path.push(at);
            }
            lines.clear();
            for node in path {
                lines.extend(self.line(items[node]));
            }
            let location = self.location(&self.tree.frames[items[at] as usize], &lines);
            stacks[node] = self.profile.stacks.child(callers[node], location);
        }
        stacks
    }

    fn location(&mut self, frame: &Frame, lines: &[Line]) -> u32 {
        let mapping = frame.mapping.checked_sub(1);
        let mapping = mapping.and_then(|at| self.mappings[at as usize]);
        let of = mapping.map(|at| self.profile.mappings[at as usize]);
        let address = match of {
            Some(mapping) if frame.address != 0 => mapping.absolute(frame.address),
            _ => frame.address,
        };
        let location = self.profile.location(mapping, address, lines);
        if !frame.is_folded {
            return location;
        }
        let profile = &mut self.profile;
        *self.folded.entry(location).or_insert_with(|| {
            let mut copy = profile.locations[location as usize];
            copy.is_folded = true;
            profile.locations.push(copy);
            profile.locations.len() as u32 - 1
        })
    }

    /// The line of a frame; none if the frame is not symbolized.
    fn line(&mut self, index: u32) -> Option<Line> {
        let frame = &self.tree.frames[index as usize];
        let mut name = frame.name;
        if !frame.is_named() && frame.line == 0 && frame.start_line == 0 {
            if frame.kind == FrameKind::Function && (frame.address != 0 || frame.mapping != 0) {
                return None;
            }
            // A location with neither an address nor a function would be shown as nothing.
            name = self.profile.strings.intern(&self.tree.frame_name(index));
        }
        let function = self.profile.function(Function {
            name,
            system_name: frame.system_name,
            file: frame.file,
            start_line: frame.start_line.into(),
        });
        Some(Line {
            function,
            line: frame.line.into(),
            column: frame.column.into(),
        })
    }
}
