//! Names for frames that have none.

use super::dictionary::{Dictionary, Unnamed};
use crate::error::Result;
use crate::format::batch::Frame;
use crate::format::symbols::{Chain, NamedFrame};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Functions by build id and address.
pub type Names = BTreeMap<String, FxHashMap<u64, Chain>>;

/// Nodes of a dictionary after its frames were named, for each node before, and what is allowed besides. The limit
/// bounds memory if an index has hundreds of inlined functions at every address.
const NODES_PER_NODE: usize = 16;
const NODES_FLOOR: usize = 1 << 20;

impl Dictionary {
    /// The frames that have a build id and an address, but neither a function nor a line.
    pub fn unnamed(&self) -> &Unnamed {
        &self.unnamed
    }

    pub(super) fn find_unnamed(&self) -> Result<Unnamed> {
        let mut all = Unnamed::new();
        for (mapping, addresses) in self.unnamed_frames()? {
            let build_id = self.build_ids.get(mapping as usize - 1)?;
            if build_id.is_empty() {
                continue;
            }
            let addresses = addresses
                .into_iter()
                .map(|at| self.frames[at as usize].address);
            all.entry(build_id.to_owned())
                .or_default()
                .extend(addresses);
        }
        for addresses in all.values_mut() {
            addresses.sort_unstable();
            addresses.dedup();
        }
        Ok(all)
    }

    /// Indices of frames without a name, by mapping.
    fn unnamed_frames(&self) -> Result<BTreeMap<u32, Vec<u32>>> {
        let mut frames = BTreeMap::<u32, Vec<u32>>::new();
        // The addresses of version 1 are not relative to the file.
        let Some(system_names) = &self.system_names else {
            return Ok(frames);
        };
        let mut is_unnamed = Vec::with_capacity(self.start_lines.len());
        for at in 0..self.start_lines.len() {
            // Bytes, because to check that they are UTF-8 takes longer.
            let texts = [&self.names, system_names, &self.files];
            let mut is_known = self.start_lines[at] != 0;
            for text in texts {
                is_known |= !text.bytes(at)?.is_empty();
            }
            is_unnamed.push(!is_known);
        }
        for (at, frame) in (0..).zip(&self.frames) {
            let is_known =
                frame.line != 0 || frame.is_inlined || !is_unnamed[frame.function as usize];
            if !is_known && frame.mapping != 0 && frame.address != 0 {
                frames.entry(frame.mapping).or_default().push(at);
            }
        }
        Ok(frames)
    }

    /// Replaces frames without a name by the functions at their addresses. The values of nodes do not change: what
    /// was read of a node is that of the innermost of its functions. Returns whether all known names were used.
    pub fn name(&mut self, names: &Names) -> Result<bool> {
        if names.is_empty() {
            return Ok(true);
        }
        let mut naming = Naming {
            functions: FxHashMap::default(),
            chains: FxHashMap::default(),
        };
        for (mapping, frames) in self.unnamed_frames()? {
            let build_id = self.build_ids.get(mapping as usize - 1)?;
            let Some(of_build) = names.get(build_id) else {
                continue;
            };
            for frame in frames {
                let address = self.frames[frame as usize].address;
                if let Some(chain) = of_build.get(&address).filter(|chain| !chain.is_empty()) {
                    naming.add(self, frame, chain);
                }
            }
        }
        if naming.chains.is_empty() {
            return Ok(true);
        }
        self.flag_mappings();
        self.by_function = OnceLock::new();
        Ok(naming.expand(self))
    }

    /// Says of each mapping whose frames have functions now that they have.
    fn flag_mappings(&mut self) {
        let mut is_named = vec![true; self.mappings.len()];
        for frame in &self.frames {
            let Some(mapping) = frame.mapping.checked_sub(1) else {
                continue;
            };
            let name = self.names.get(frame.function as usize);
            is_named[mapping as usize] &= name.is_ok_and(|name| !name.is_empty());
        }
        for (mapping, is_named) in self.mappings.iter_mut().zip(is_named) {
            if is_named {
                mapping.has_functions = true;
                mapping.has_filenames = true;
                mapping.has_line_numbers = true;
                mapping.has_inline_frames = true;
            }
        }
    }
}

struct Naming {
    /// Index of each new function, by name and file.
    functions: FxHashMap<(Arc<str>, Arc<str>), u32>,
    /// The inlined frames of each named frame.
    chains: FxHashMap<u32, Vec<u32>>,
}

impl Naming {
    /// Names a frame.
    fn add(&mut self, dictionary: &mut Dictionary, frame: u32, chain: &[NamedFrame]) {
        let mut inlined = Vec::with_capacity(chain.len() - 1);
        for (depth, named) in chain.iter().enumerate() {
            let function = self.function(dictionary, named);
            let outer = &mut dictionary.frames[frame as usize];
            let line = davy_profile::Frame::line_number(named.line.into());
            if depth == 0 {
                (outer.function, outer.line) = (function, line);
                continue;
            }
            // See `davy_profile::Frame::inlined`.
            let inner = Frame {
                function,
                line,
                mapping: outer.mapping,
                is_inlined: true,
                ..Frame::default()
            };
            inlined.push(dictionary.frames.len() as u32);
            dictionary.frames.push(inner);
        }
        self.chains.insert(frame, inlined);
    }

    fn function(&mut self, dictionary: &mut Dictionary, named: &NamedFrame) -> u32 {
        let key = (Arc::clone(&named.function), Arc::clone(&named.file));
        *self.functions.entry(key).or_insert_with(|| {
            dictionary.names.push(&named.function);
            dictionary.files.push(&named.file);
            if let Some(system_names) = &mut dictionary.system_names {
                system_names.push("");
            }
            dictionary.start_lines.push(0);
            dictionary.start_lines.len() as u32 - 1
        })
    }

    /// Inserts a node for each inlined frame. Returns false if some were left out because of the limit.
    fn expand(&self, dictionary: &mut Dictionary) -> bool {
        if self.chains.values().all(Vec::is_empty) {
            return true;
        }
        let before = dictionary.parents.len();
        let limit = before * NODES_PER_NODE + NODES_FLOOR;
        let mut parents = Vec::with_capacity(before + before / 2);
        let mut frames = Vec::with_capacity(before + before / 2);
        let mut places = Vec::with_capacity(before);
        let mut is_whole = true;
        for (node, parent) in dictionary.parents.iter().enumerate() {
            let frame = dictionary.node_frames[node];
            if node == 0 {
                parents.push(0);
            } else {
                // The parent has a lower number, so its place is known.
                parents.push(places[*parent as usize]);
            }
            frames.push(frame);
            for inlined in self.chains.get(&frame).into_iter().flatten() {
                if parents.len() + before - node >= limit {
                    is_whole = false;
                    break;
                }
                parents.push(parents.len() as u32 - 1);
                frames.push(*inlined);
            }
            places.push(parents.len() as u32 - 1);
        }
        dictionary.parents = parents;
        dictionary.node_frames = frames;
        dictionary.places = Some(places);
        is_whole
    }
}
