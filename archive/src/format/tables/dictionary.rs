//! Reads the tables of stacks.

use super::flags;
use super::local::local;
use crate::error::{Error, Result};
use crate::format::batch::{Batch, Frame, Function, FunctionTexts, words};
use crate::format::columns::{Group, Texts};
use davy_profile::flame::MappingTable;
use davy_profile::{FlameTree, FrameKind, Mapping, StringTable};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Addresses of frames without a name, sorted, by build id.
pub type Unnamed = BTreeMap<String, Vec<u64>>;

/// The tables of the stacks of a row group.
pub struct StackTables {
    /// Stacks.
    pub nodes: Group,
    /// Frames.
    pub frames: Group,
    /// Functions and mappings; version 1 has them in the table of frames.
    pub details: Option<(Group, Group)>,
}

/// Stacks, frames, functions and mappings of a row group. All indices are in range.
#[derive(Clone)]
pub struct Dictionary {
    pub(super) base: i32,
    /// Parents. Node 0 is the root and its own parent; nodes are in preorder.
    pub parents: Vec<u32>,
    /// Frames of the nodes; meaningless for the root.
    pub node_frames: Vec<u32>,
    pub(super) frames: Vec<Frame>,
    pub(super) names: Texts,
    /// Version 1 has none.
    pub(super) system_names: Option<Texts>,
    pub(super) files: Texts,
    pub(super) start_lines: Vec<i32>,
    modules: Texts,
    pub(super) build_ids: Texts,
    /// Mappings without their texts.
    pub(super) mappings: Vec<Mapping>,
    /// The node of each node of the table, if they are not the same.
    pub(super) places: Option<Vec<u32>>,
    pub(super) unnamed: Unnamed,
    pub(super) by_function: OnceLock<ByFunction>,
}

/// What a merge by function needs of a dictionary.
#[derive(Clone)]
pub struct ByFunction {
    /// For each node the first frame that has the same function and mapping as its own, or its own if that has no
    /// function. A frame is several times as large, and most nodes of a function have frames of their own, so a merge
    /// by function that looked at those would wait for memory at almost every node.
    pub node_frames: Vec<u32>,
    /// 128 bits that identify each function in all dictionaries, 0 if it has no name.
    digests: Vec<u128>,
}

impl Dictionary {
    /// Reads the tables.
    pub fn read(tables: &StackTables) -> Result<Self> {
        let StackTables {
            nodes,
            frames,
            details,
        } = tables;
        let result = match details {
            Some((functions, mappings)) => Self::of_version_2(frames, functions, mappings),
            None => Self::of_version_1(frames),
        };
        let mut result = result?;
        let numbers = nodes.i32(0)?;
        result.base = numbers.first().map_or(0, |first| first - 1);
        result.parents.reserve_exact(numbers.len() + 1);
        result.parents.push(0);
        // The node before and those above it, among which the parent must be.
        let mut above = vec![0u32];
        for (row, of) in nodes.i32(1)?.into_iter().enumerate() {
            // 0 means the root in both versions.
            let parent = match (of, details) {
                (0, _) => 0,
                (distance, Some(_)) => (row as i32 + 1).wrapping_sub(distance),
                (parent, None) => parent.wrapping_sub(result.base),
            };
            let parent = parent as u32;
            while above.last().is_some_and(|last| *last > parent) {
                above.pop();
            }
            if above.last() != Some(&parent) {
                return Err(Error::corrupt("nodes are not in preorder"));
            }
            above.push(row as u32 + 1);
            result.parents.push(parent);
        }
        let (base, count) = (first(frames)?, result.frames.len());
        let node_frames = local(nodes.i32(2)?, base, count, "invalid frame of a node")?;
        result.node_frames.reserve_exact(node_frames.len() + 1);
        result.node_frames.push(u32::MAX);
        result.node_frames.extend(node_frames);
        result.unnamed = result.find_unnamed()?;
        Ok(result)
    }

    fn of_version_2(frames: &Group, functions: &Group, mappings: &Group) -> Result<Self> {
        let start_lines = functions.i32(4)?;
        let of_function = local(
            frames.i32(1)?,
            first(functions)?,
            start_lines.len(),
            "invalid function of a frame",
        )?;
        let (starts, limits) = (mappings.i64(3)?, mappings.i64(4)?);
        let (offsets, map_flags) = (mappings.i64(5)?, mappings.i32(6)?);
        // 0 means that a frame has no mapping.
        let base = first(mappings)?.wrapping_sub(1);
        let mut of_mapping = frames.i32(4)?;
        for mapping in of_mapping.iter_mut().filter(|mapping| **mapping != 0) {
            *mapping = mapping.wrapping_sub(base);
        }
        let count = starts.len() + 1;
        let of_mapping = local(of_mapping, 0, count, "invalid mapping of a frame")?;
        let (lines, columns) = (frames.i32(2)?, frames.i32(3)?);
        let (addresses, flags) = (frames.i64(5)?, frames.i32(6)?);
        let frame = |at: usize| {
            let mut frame = Frame {
                function: of_function[at],
                line: lines[at] as u32,
                column: columns[at] as u32,
                mapping: of_mapping[at],
                address: addresses[at] as u64,
                ..Frame::default()
            };
            flags::to_frame(flags[at], &mut frame);
            frame
        };
        let mapping = |at: usize| {
            let mut mapping = Mapping {
                start: starts[at] as u64,
                limit: limits[at] as u64,
                file_offset: offsets[at] as u64,
                ..Mapping::default()
            };
            flags::to_mapping(map_flags[at], &mut mapping);
            mapping
        };
        Ok(Self {
            base: 0,
            places: None,
            unnamed: Unnamed::new(),
            by_function: OnceLock::new(),
            parents: Vec::new(),
            node_frames: Vec::new(),
            frames: (0..of_function.len()).map(frame).collect(),
            names: functions.text(1)?,
            system_names: Some(functions.text(2)?),
            files: functions.text(3)?,
            start_lines,
            modules: mappings.text(1)?,
            build_ids: mappings.text(2)?,
            mappings: (0..starts.len()).map(mapping).collect(),
        })
    }

    /// In version 1 each frame has a function and a mapping of its own.
    fn of_version_1(frames: &Group) -> Result<Self> {
        let (modules, build_ids) = (frames.text(5)?, frames.text(6)?);
        let (lines, addresses) = (frames.i32(4)?, frames.i64(7)?);
        let mut of_frame = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let is_mapped = !modules.get(at)?.is_empty() || !build_ids.get(at)?.is_empty();
            of_frame.push(Frame {
                function: at as u32,
                line: *line as u32,
                mapping: if is_mapped { at as u32 + 1 } else { 0 },
                address: addresses[at] as u64,
                ..Frame::default()
            });
        }
        Ok(Self {
            base: 0,
            places: None,
            unnamed: Unnamed::new(),
            by_function: OnceLock::new(),
            parents: Vec::new(),
            node_frames: Vec::new(),
            mappings: vec![Mapping::default(); of_frame.len()],
            frames: of_frame,
            names: frames.text(1)?,
            system_names: None,
            files: frames.text(2)?,
            start_lines: frames.i32(3)?,
            modules,
            build_ids,
        })
    }

    /// The node of a node of the table. They are the same unless frames were named.
    #[inline]
    pub fn place(&self, node: u32) -> u32 {
        match &self.places {
            None => node,
            Some(places) => places[node as usize],
        }
    }

    /// Memory, in bytes.
    pub fn memory(&self) -> usize {
        let texts = [&self.names, &self.files, &self.modules, &self.build_ids];
        let texts = texts.into_iter().chain(&self.system_names);
        texts.map(Texts::memory).sum::<usize>()
            + self.parents.len() * 12
            + self.start_lines.len() * 16
            + self.places.as_ref().map_or(0, |places| places.len() * 4)
            + self.frames.len() * size_of::<Frame>()
            + self.start_lines.len() * 4
            + self.mappings.len() * size_of::<Mapping>()
            + 512
    }

    /// Number of frames.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// Its nodes by function, and the digests of its functions.
    pub fn by_function(&self) -> &ByFunction {
        self.by_function.get_or_init(|| {
            let digest = |at: usize| self.function(at).ok()?.named_digest();
            let digests = (0..self.start_lines.len()).map(|at| digest(at).unwrap_or(0));
            let digests: Vec<u128> = digests.collect();
            // The last mapping and the first frame of each function.
            let mut functions = vec![(0, u32::MAX); digests.len()];
            let firsts = (0..).zip(&self.frames).map(|(at, frame)| {
                let function = frame.function as usize;
                if digests[function] == 0 {
                    return at;
                }
                let known = &mut functions[function];
                if known.1 == u32::MAX || known.0 != frame.mapping {
                    *known = (frame.mapping, at);
                }
                known.1
            });
            let firsts: Vec<u32> = firsts.collect();
            let of_node = |frame: &u32| firsts.get(*frame as usize).copied().unwrap_or(u32::MAX);
            ByFunction {
                node_frames: self.node_frames.iter().map(of_node).collect(),
                digests,
            }
        })
    }

    /// Number of nodes of the table, including the root.
    pub(super) fn stored_nodes(&self) -> usize {
        self.places.as_ref().unwrap_or(&self.parents).len()
    }

    fn function(&self, at: usize) -> Result<FunctionTexts<'_>> {
        Ok(FunctionTexts {
            name: self.names.get(at)?,
            system_name: match &self.system_names {
                Some(texts) => texts.get(at)?,
                None => "",
            },
            file: self.files.get(at)?,
            start_line: self.start_lines[at] as u32,
        })
    }

    /// A mapping with its strings in `strings`.
    fn mapping(&self, at: usize, strings: &mut StringTable) -> Result<Mapping> {
        Ok(Mapping {
            file: strings.intern(self.modules.get(at)?),
            build_id: strings.intern(self.build_ids.get(at)?),
            ..self.mappings[at]
        })
    }
}

/// The number of the first row.
fn first(group: &Group) -> Result<i32> {
    Ok(group.i32(0)?.first().copied().unwrap_or(0))
}

/// Converts frames of a dictionary to those of one tree or batch; each function and mapping once.
pub struct Conversion<'a, F> {
    dictionary: &'a Dictionary,
    functions: Vec<Option<F>>,
    mappings: Vec<Option<u32>>,
}

/// What identifies a function, for a `WordMap`.
pub type FunctionKey = [u32; 5];

/// Converts frames to those of a tree.
pub type TreeFrames<'a> = Conversion<'a, Function>;

/// Converts frames to those of a batch.
pub type BatchFrames<'a> = Conversion<'a, u32>;

impl<'a, F: Copy> Conversion<'a, F> {
    /// A conversion of frames of this dictionary.
    pub fn of(dictionary: &'a Dictionary) -> Self {
        Self {
            dictionary,
            functions: vec![None; dictionary.start_lines.len()],
            mappings: vec![None; dictionary.mappings.len()],
        }
    }

    /// Adds the mapping of a program to a table. Tools take the first mapping for the program, so it is kept even
    /// if no frame is in it. Other mappings without frames are left out, as when `go tool pprof` merges profiles.
    pub fn program(
        &mut self,
        build_id: &str,
        strings: &mut StringTable,
        table: &mut MappingTable,
    ) -> Result<()> {
        if build_id.is_empty() {
            return Ok(());
        }
        for at in 0..self.dictionary.mappings.len() {
            if self.dictionary.mappings[at].is_main
                && self.dictionary.build_ids.get(at)? == build_id
            {
                self.mapping(at as u32 + 1, strings, table)?;
            }
        }
        Ok(())
    }

    /// The number of a mapping in a table, whose strings are `strings`.
    fn mapping(
        &mut self,
        number: u32,
        strings: &mut StringTable,
        table: &mut MappingTable,
    ) -> Result<u32> {
        let Some(at) = number.checked_sub(1) else {
            return Ok(0);
        };
        let known = &mut self.mappings[at as usize];
        if let Some(known) = known {
            return Ok(*known);
        }
        let mapping = self.dictionary.mapping(at as usize, strings)?;
        Ok(*known.insert(table.number(mapping)))
    }
}

impl TreeFrames<'_> {
    /// What identifies the function of a frame in all dictionaries whose frames are converted for `tree`, if it has a name;
    /// `tree` must be the same in every call.
    pub fn function_key(
        &mut self,
        frame: usize,
        tree: &mut FlameTree,
    ) -> Result<Option<FunctionKey>> {
        let of = self.dictionary.frames[frame];
        let digest = self.dictionary.by_function().digests[of.function as usize];
        if digest == 0 {
            return Ok(None);
        }
        let mapping = self.mapping(of.mapping, &mut tree.strings, &mut tree.mappings)?;
        let [a, b, c, d] = words(digest);
        Ok(Some([a, b, c, d, mapping]))
    }

    /// A frame with its texts and its mapping in `tree`, which must be the same in every call.
    pub fn frame(&mut self, frame: usize, tree: &mut FlameTree) -> Result<davy_profile::Frame> {
        let of = self.dictionary.frames[frame];
        let known = &mut self.functions[of.function as usize];
        let function = if let Some(known) = known {
            *known
        } else {
            let function = self.dictionary.function(of.function as usize)?;
            *known.insert(Function {
                name: tree.strings.intern(function.name),
                system_name: tree.strings.intern(function.system_name),
                file: tree.strings.intern(function.file),
                start_line: function.start_line,
            })
        };
        Ok(davy_profile::Frame {
            name: function.name,
            system_name: function.system_name,
            file: function.file,
            start_line: function.start_line,
            line: of.line,
            column: of.column,
            mapping: self.mapping(of.mapping, &mut tree.strings, &mut tree.mappings)?,
            address: of.address,
            kind: FrameKind::Function,
            is_inlined: of.is_inlined,
            is_folded: of.is_folded,
        })
    }
}

impl BatchFrames<'_> {
    /// The indices of frames in `batch`, which must be the same in every call. No call may follow an error.
    pub fn all(&mut self, frames: &[u32], batch: &mut Batch) -> Result<Vec<u32>> {
        let (mut functions, mut used) = (Vec::new(), Vec::new());
        let mut all = Vec::with_capacity(frames.len());
        for frame in frames {
            let of = self.dictionary.frames[*frame as usize];
            let known = &mut self.functions[of.function as usize];
            let function = *known.get_or_insert_with(|| {
                used.push(of.function);
                used.len() as u32 - 1
            });
            let mapping = self.mapping(of.mapping, &mut batch.strings, &mut batch.mappings)?;
            all.push(Frame {
                function,
                mapping,
                ..of
            });
        }
        for function in used {
            // The numbers are of this call.
            self.functions[function as usize] = None;
            functions.push(self.dictionary.function(function as usize)?);
        }
        Ok(batch.all_frames(&functions, &all))
    }
}
