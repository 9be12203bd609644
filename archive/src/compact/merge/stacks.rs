//! Copies stacks of a piece into a batch.

use crate::error::Result;
use crate::format::batch::{Batch, TOGETHER};
use crate::format::tables::{BatchFrames, Dictionary};
use davy_profile::NodeId;

/// The number in the batch is not known.
const UNKNOWN: u32 = u32::MAX;
/// The number in the batch is looked up next.
const WANTED: u32 = u32::MAX - 1;

/// The numbers in a batch of the stacks of a dictionary, each copied when it is needed.
pub(super) struct Stacks<'a> {
    dictionary: &'a Dictionary,
    frames: BatchFrames<'a>,
    /// Number in the batch of each frame.
    frame_numbers: Vec<u32>,
    /// Number in the batch of each node.
    nodes: Vec<u32>,
    /// Distance of each node from those that were known before.
    depths: Vec<u32>,
}

impl<'a> Stacks<'a> {
    pub(super) fn of(dictionary: &'a Dictionary) -> Self {
        let mut nodes = vec![UNKNOWN; dictionary.parents.len()];
        nodes[0] = 0;
        Self {
            dictionary,
            frames: BatchFrames::of(dictionary),
            frame_numbers: vec![UNKNOWN; dictionary.frame_count()],
            depths: vec![0; nodes.len()],
            nodes,
        }
    }

    /// Copies the mapping of a program, even if no frame is in it.
    pub(super) fn program(&mut self, build_id: &str, batch: &mut Batch) -> Result<()> {
        self.frames
            .program(build_id, &mut batch.strings, &mut batch.mappings)
    }

    /// The number in the batch of a node that was added.
    pub(super) fn node(&self, node: u32) -> u32 {
        self.nodes[node as usize]
    }

    /// Copies the stacks of nodes, `batch` being the same in every call. No call may follow an error. Many nodes at once take
    /// less time: frames are looked up in their order, and nodes level by level, so that look-ups do not wait for each
    /// other.
    pub(super) fn add(
        &mut self,
        nodes: impl Iterator<Item = u32>,
        batch: &mut Batch,
    ) -> Result<()> {
        let parents = &self.dictionary.parents;
        let mut wanted = Vec::new();
        for node in nodes {
            let mut at = node;
            while self.nodes[at as usize] == UNKNOWN {
                self.nodes[at as usize] = WANTED;
                wanted.push(at);
                at = parents[at as usize];
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // Parents before their children.
        wanted.sort_unstable();
        self.add_frames(&wanted, batch)?;
        let mut levels: Vec<Vec<u32>> = Vec::new();
        for node in wanted {
            let parent = parents[node as usize] as usize;
            let depth = match self.nodes[parent] {
                WANTED => self.depths[parent] + 1,
                _ => 0,
            };
            self.depths[node as usize] = depth;
            if levels.len() == depth as usize {
                levels.push(Vec::new());
            }
            levels[depth as usize].push(node);
        }
        let Self {
            dictionary,
            frame_numbers,
            nodes,
            ..
        } = self;
        let child = |nodes: &[u32], node: u32| {
            let parent = NodeId(nodes[parents[node as usize] as usize]);
            let frame = dictionary.node_frames[node as usize];
            (parent, frame_numbers[frame as usize])
        };
        for together in levels.iter().flat_map(|level| level.chunks(TOGETHER)) {
            let children = together.iter().map(|node| child(nodes, *node));
            batch.stacks.prefetch(children);
            for node in together {
                let (parent, frame) = child(nodes, *node);
                nodes[*node as usize] = batch.stacks.child(parent, frame).0;
            }
        }
        Ok(())
    }

    /// Copies the frames of nodes.
    fn add_frames(&mut self, nodes: &[u32], batch: &mut Batch) -> Result<()> {
        let mut wanted = Vec::new();
        for node in nodes {
            let frame = self.dictionary.node_frames[*node as usize];
            let number = &mut self.frame_numbers[frame as usize];
            if *number == UNKNOWN {
                *number = WANTED;
                wanted.push(frame);
            }
        }
        wanted.sort_unstable();
        let added = self.frames.all(&wanted, batch)?;
        for (frame, number) in wanted.into_iter().zip(added) {
            self.frame_numbers[frame as usize] = number;
        }
        Ok(())
    }
}
