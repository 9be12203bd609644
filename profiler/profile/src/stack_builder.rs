//! Adds the stacks of samples to a profile, within limits.

use crate::truncate::{self, Cut};
use crate::{Error, Limits, NodeId, Profile};

/// Adds stacks to a profile, location by location from the leaf to the root. Stacks that are too deep are shortened and
/// counted in [`Profile::truncated`].
///
/// Nodes that a stack shares with the previous one are not looked up again.
#[derive(Debug)]
pub struct StackBuilder {
    depth_max: usize,
    nodes_max: usize,
    cut: Cut,
    /// Locations of this stack and of the previous one, leaf first.
    path: Vec<u32>,
    last: Vec<u32>,
    /// Nodes of the previous stack, root first.
    nodes: Vec<NodeId>,
    /// Number of frames of each location, of those that were seen. A location has several frames if functions were inlined
    /// there; the limits count frames.
    frames_of: Vec<u32>,
    /// Number of frames of all nodes.
    frames: usize,
    is_cut: bool,
    marker: Option<u32>,
}

impl StackBuilder {
    /// A builder of the stacks of one profile, which has none yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            depth_max: limits.depth,
            nodes_max: limits.nodes,
            cut: Cut::at(limits.depth),
            path: Vec::new(),
            last: Vec::new(),
            nodes: Vec::new(),
            frames_of: Vec::new(),
            frames: 0,
            is_cut: false,
            marker: None,
        }
    }

    /// Adds the next location of a stack, an index into [`Profile::locations`].
    #[inline]
    pub fn push(&mut self, location: u32) {
        self.path.push(location);
        // Bounds the memory; the exact limit is applied at the end.
        if self.path.len() >= 2 * (self.depth_max + 1) {
            let end = self.path.len() - self.depth_max;
            self.path.drain(self.cut.leaf..end);
            self.is_cut = true;
        }
    }

    /// Drops the locations of a stack that is not finished.
    #[inline]
    pub fn clear(&mut self) {
        self.path.clear();
        self.is_cut = false;
    }

    /// Counts the frames of the locations that were added to the profile.
    fn see(&mut self, profile: &Profile) {
        let added = profile.locations[self.frames_of.len()..].iter();
        self.frames_of
            .extend(added.map(|location| location.line_count.max(1)));
    }

    /// Ends a stack: returns its node, and whether the stack was shortened.
    pub fn finish(&mut self, profile: &mut Profile) -> Result<(NodeId, bool), Error> {
        self.see(profile);
        let frames_on_path = self.path.iter().map(|at| self.frames_of[*at as usize]);
        let frames_on_path: u64 = frames_on_path.map(u64::from).sum();
        let is_cut = self.is_cut || frames_on_path > self.depth_max as u64;
        if is_cut {
            profile.truncated.stacks += 1;
            let named = || profile.named_location(truncate::FRAME);
            let marker = *self.marker.get_or_insert_with(named);
            self.see(profile);
            shorten(&mut self.path, self.cut, &self.frames_of, marker);
        }
        let pairs = self.path.iter().rev().zip(self.last.iter().rev());
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.nodes.truncate(shared);
        let mut node = self.nodes.last().copied().unwrap_or(NodeId::ROOT);
        for &location in self.path.iter().rev().skip(shared) {
            let known = profile.stacks.len();
            node = profile.stacks.child(node, location);
            self.nodes.push(node);
            if profile.stacks.len() > known {
                self.frames += self.frames_of[location as usize] as usize;
            }
        }
        if self.frames > self.nodes_max {
            return Err(Error::TooMany {
                what: "distinct stack frames",
                got: self.frames,
                limit: self.nodes_max,
            });
        }
        std::mem::swap(&mut self.path, &mut self.last);
        self.clear();
        Ok((node, is_cut))
    }
}

/// Shortens a path, leaf first, to the frames that the cut keeps and the marker between them. Locations are kept
/// as a whole, with the frames that were inlined there.
fn shorten(path: &mut Vec<u32>, cut: Cut, frames_of: &[u32], marker: u32) {
    let count = |locations: &mut dyn Iterator<Item = &u32>, frames_max: usize| {
        let mut left = frames_max;
        let fits = |location: &&u32| {
            let frames = frames_of[**location as usize] as usize;
            let fits = frames <= left;
            left -= if fits { frames } else { 0 };
            fits
        };
        locations.take_while(fits).count()
    };
    let leaf = count(&mut path.iter(), cut.leaf);
    let root = count(&mut path[leaf..].iter().rev(), cut.root);
    let end = path.len() - root;
    path.splice(leaf..end, [marker]);
}
