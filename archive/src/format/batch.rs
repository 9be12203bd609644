//! The in-memory form of one row group of all tables.

use super::header::Header;
use crate::labels::{BUILD_ID, Labels};
use davy_profile::flame::MappingTable;
use davy_profile::{StackTree, StringId, StringTable, WordMap};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// The identity of a window: repeated pushes of a window have the same one.
pub type WindowId = u128;

/// The label set of a push, without the labels of its samples.
pub type Source = Arc<Labels>;

/// A profile type and the labels of some samples of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Index of its source.
    pub source: u32,
    /// Profile type id.
    pub kind: Arc<str>,
    /// Labels of the samples.
    pub labels: Arc<Labels>,
    /// What the profile says about its samples.
    pub header: Arc<Header>,
}

impl Series {
    /// The value of a label: of the samples, of their `source`, or the build id of their program; "" if there is
    /// none.
    pub fn label<'a>(&'a self, name: &str, source: &'a Labels) -> &'a str {
        let pushed = [self.labels.get(name), source.get(name)];
        match pushed.into_iter().find(|value| !value.is_empty()) {
            Some(value) => value,
            None if name == BUILD_ID => &self.header.build_id,
            None => "",
        }
    }

    /// Names of all labels for which [`label`](Self::label) has a value; a name can occur twice.
    pub fn label_names<'a>(&'a self, source: &'a Labels) -> impl Iterator<Item = &'a str> {
        let build_id = (!self.header.build_id.is_empty()).then_some(BUILD_ID);
        let pushed = source.iter().chain(self.labels.iter());
        pushed.map(|(name, _)| name).chain(build_id)
    }
}

/// Samples that a profiler shipped together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Index of its source.
    pub source: u32,
    /// Identity of the window.
    pub id: WindowId,
    /// Start, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Duration in milliseconds.
    pub duration_ms: i64,
    /// Start as the profile states it, in nanoseconds since the epoch; 0 if it does not.
    pub time_nanos: i64,
    /// Duration as the profile states it, in nanoseconds; 0 if it does not.
    pub duration_nanos: i64,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index of its series.
    pub series: u32,
    /// Node of the dictionary.
    pub node: u32,
    /// Index of its window.
    pub window: u32,
    /// The value.
    pub value: i64,
}

/// A function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Function {
    /// Name, "" if unknown.
    pub name: StringId,
    /// Symbol name, "" if unknown.
    pub system_name: StringId,
    /// Source file, "" if unknown.
    pub file: StringId,
    /// First line, 0 if unknown.
    pub start_line: u32,
}

impl Function {
    fn is_named(&self) -> bool {
        (self.name.0 | self.system_name.0 | self.file.0) != 0
    }
}

/// A function with its strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionTexts<'a> {
    /// Name, "" if unknown.
    pub name: &'a str,
    /// Symbol name, "" if unknown.
    pub system_name: &'a str,
    /// Source file, "" if unknown.
    pub file: &'a str,
    /// First line, 0 if unknown.
    pub start_line: u32,
}

impl FunctionTexts<'_> {
    /// 128 bits that identify the function. To compare digests takes one memory access, and to compare strings
    /// several for each.
    fn digest(&self) -> [u32; 4] {
        let texts = [self.name, self.system_name, self.file];
        let digests = texts.map(|text| match text {
            "" => 0,
            text => xxh3_128(text.as_bytes()),
        });
        let mut all = [0; 52];
        for (at, digest) in digests.into_iter().enumerate() {
            all[at * 16..][..16].copy_from_slice(&digest.to_le_bytes());
        }
        all[48..].copy_from_slice(&self.start_line.to_le_bytes());
        let digest = xxh3_128(&all);
        [96, 64, 32, 0].map(|shift| (digest >> shift) as u32)
    }
}

/// A frame; the fields are those of [`davy_profile::Frame`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Index of its function.
    pub function: u32,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Number of the mapping, counted from 1; 0 if unknown.
    pub mapping: u32,
    /// Address, relative to the file.
    pub address: u64,
    /// Whether it was inlined into the frame that contains it.
    pub is_inlined: bool,
    /// Whether several functions share its code.
    pub is_folded: bool,
}

impl Frame {
    fn key(&self) -> [u32; 6] {
        // Columns are written in 31 bits.
        let flags = u32::from(self.is_inlined) << 31 | self.column;
        let mapping = u32::from(self.is_folded) << 31 | self.mapping;
        let (high, low) = ((self.address >> 32) as u32, self.address as u32);
        [self.function, self.line, high, low, mapping, flags]
    }
}

/// Number of functions, frames or stacks that are looked up together.
pub const TOGETHER: usize = 64;

/// Windows of several sources and the dictionary of their stacks.
#[derive(Debug, Default)]
pub struct Batch {
    /// Sources.
    pub sources: Vec<Source>,
    /// Series.
    pub series: Vec<Series>,
    /// Windows.
    pub windows: Vec<Window>,
    /// Strings of functions and mappings.
    pub strings: StringTable,
    /// Mappings.
    pub mappings: MappingTable,
    /// Functions.
    pub functions: Vec<Function>,
    /// Frames.
    pub frames: Vec<Frame>,
    /// Stacks; items are indices of frames.
    pub stacks: StackTree,
    /// Values in any order; rows with the same key add up.
    pub rows: Vec<Row>,
    source_index: FxHashMap<Source, u32>,
    series_index: FxHashMap<Series, u32>,
    window_index: FxHashMap<WindowId, u32>,
    /// Number, counted from 1, of the function with each digest.
    function_index: WordMap<4>,
    /// Number, counted from 1, of each frame.
    frame_index: WordMap<6>,
    /// Estimated memory of the labels.
    label_bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of a function, which is added if it is new.
    pub fn function(&mut self, function: FunctionTexts<'_>) -> u32 {
        self.function_as(function.digest(), function)
    }

    /// The indices of many functions, which is faster than one by one.
    pub fn all_functions(&mut self, functions: &[FunctionTexts<'_>]) -> Vec<u32> {
        let digests: Vec<[u32; 4]> = functions.iter().map(FunctionTexts::digest).collect();
        let mut indices = Vec::with_capacity(functions.len());
        let chunks = functions.chunks(TOGETHER).zip(digests.chunks(TOGETHER));
        for (functions, digests) in chunks {
            self.function_index.prefetch(digests.iter().copied());
            let found = functions.iter().zip(digests);
            indices.extend(found.map(|(of, digest)| self.function_as(*digest, *of)));
        }
        indices
    }

    fn function_as(&mut self, digest: [u32; 4], function: FunctionTexts<'_>) -> u32 {
        let next = self.functions.len() as u32 + 1;
        let found = self.function_index.find_or_insert(digest, next);
        if found == next {
            self.functions.push(Function {
                name: self.strings.intern(function.name),
                system_name: self.strings.intern(function.system_name),
                file: self.strings.intern(function.file),
                start_line: function.start_line,
            });
        }
        found - 1
    }

    /// The index of a frame, which is added if it is new.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        let (frame, key) = self.identified(frame);
        self.frame_as(key, frame)
    }

    /// The indices of many frames, which is faster than one by one.
    pub fn all_frames(&mut self, frames: &[Frame]) -> Vec<u32> {
        let frames: Vec<(Frame, [u32; 6])> = frames.iter().map(|of| self.identified(*of)).collect();
        let mut indices = Vec::with_capacity(frames.len());
        for frames in frames.chunks(TOGETHER) {
            self.frame_index
                .prefetch(frames.iter().map(|(_, key)| *key));
            indices.extend(
                frames
                    .iter()
                    .map(|(frame, key)| self.frame_as(*key, *frame)),
            );
        }
        indices
    }

    /// A frame as it is stored, and the part by which frames are the same.
    #[inline]
    fn identified(&self, mut frame: Frame) -> (Frame, [u32; 6]) {
        let is_named = self.functions[frame.function as usize].is_named();
        if frame.is_inlined && is_named {
            // See `davy_profile::Frame::inlined`.
            (frame.address, frame.is_folded) = (0, false);
        }
        // See `davy_profile::Frame::identity`.
        let is_address_part = frame.mapping != 0 || !is_named;
        let address = if is_address_part { frame.address } else { 0 };
        (frame, Frame { address, ..frame }.key())
    }

    #[inline]
    fn frame_as(&mut self, key: [u32; 6], frame: Frame) -> u32 {
        let next = self.frames.len() as u32 + 1;
        let found = self.frame_index.find_or_insert(key, next);
        let index = found - 1;
        if found == next {
            self.frames.push(frame);
        } else if frame.mapping == 0 && frame.address != 0 {
            // The lowest address is kept if it is not a part of the key.
            let known = &mut self.frames[index as usize].address;
            if *known == 0 || frame.address < *known {
                *known = frame.address;
            }
        }
        index
    }

    /// The index of a source, which is added if it is new.
    pub fn source(&mut self, source: &Source) -> u32 {
        if let Some(found) = self.source_index.get(source) {
            return *found;
        }
        let index = self.sources.len() as u32;
        self.label_bytes += source
            .iter()
            .map(|(n, v)| n.len() + v.len() + 64)
            .sum::<usize>()
            + 128;
        self.sources.push(Arc::clone(source));
        self.source_index.insert(Arc::clone(source), index);
        index
    }

    /// The index of a series, which is added if it is new.
    pub fn one_series(&mut self, series: Series) -> u32 {
        if let Some(found) = self.series_index.get(&series) {
            return *found;
        }
        let index = self.series.len() as u32;
        self.label_bytes += series
            .labels
            .iter()
            .map(|(n, v)| n.len() + v.len() + 64)
            .sum::<usize>()
            + 192;
        self.series.push(series.clone());
        self.series_index.insert(series, index);
        index
    }

    /// Adds a window and returns its index; `None` if the batch already has it.
    pub fn window(&mut self, window: Window) -> Option<u32> {
        let index = self.windows.len() as u32;
        match self.window_index.entry(window.id) {
            std::collections::hash_map::Entry::Occupied(_) => None,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(index);
                self.windows.push(window);
                Some(index)
            }
        }
    }

    /// Whether the batch has a window.
    pub fn has_window(&self, id: WindowId) -> bool {
        self.window_index.contains_key(&id)
    }

    /// Estimated memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.stacks.len() * 32
            + self.frames.len() * 96
            + self.functions.len() * 56
            + self.strings.text_len()
            + self.strings.len() * 24
            + self.windows.len() * 96
            + self.label_bytes
    }

    /// The services of its sources, sorted.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = self
            .sources
            .iter()
            .map(|source| source.service().to_owned())
            .collect();
        services.sort();
        services.dedup();
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: FunctionTexts<'_> = FunctionTexts {
        name: "f",
        system_name: "",
        file: "",
        start_line: 0,
    };

    #[test]
    fn frames_and_functions_that_differ_in_any_field_get_different_indices() {
        let name = FunctionTexts {
            name: "1",
            ..FunctionTexts::default()
        };
        let mut functions = vec![FunctionTexts::default(), name];
        let in_function = |function| Frame {
            function,
            ..Frame::default()
        };
        let mut frames = vec![in_function(0), in_function(1)];
        for n in [2, 5, i32::MAX as u32] {
            let (text, address) = (n.to_string().leak() as &str, u64::from(n));
            functions.extend([
                FunctionTexts { name: text, ..name },
                FunctionTexts {
                    system_name: text,
                    ..name
                },
                FunctionTexts { file: text, ..name },
                FunctionTexts {
                    start_line: n,
                    ..name
                },
            ]);
            let (unnamed, named) = (in_function(0), in_function(1));
            frames.extend([
                Frame { line: n, ..named },
                Frame { column: n, ..named },
                Frame {
                    mapping: n,
                    ..named
                },
                Frame {
                    address,
                    mapping: 7,
                    ..named
                },
                Frame {
                    address: address << 32,
                    mapping: 7,
                    ..named
                },
                Frame { address, ..unnamed },
                Frame {
                    address,
                    is_inlined: true,
                    ..unnamed
                },
                Frame {
                    is_inlined: true,
                    line: n,
                    ..named
                },
                Frame {
                    is_folded: true,
                    line: n,
                    ..named
                },
            ]);
        }
        let mut batch = Batch::new();
        for round in 0..2 {
            for (index, function) in functions.iter().enumerate() {
                assert_eq!(batch.function(*function), index as u32, "round {round}");
            }
            for (index, frame) in frames.iter().enumerate() {
                assert_eq!(batch.frame(*frame), index as u32, "round {round}");
            }
        }
        assert_eq!(batch.functions.len(), functions.len());
        assert_eq!(batch.frames, frames);
    }

    #[test]
    fn address_of_a_function_without_a_mapping_does_not_count_and_the_lowest_is_kept() {
        for addresses in [[0, 9, 5], [5, 9, 0], [9, 0, 5]] {
            let mut batch = Batch::new();
            let function = batch.function(NAMED);
            let at = |address| Frame {
                function,
                address,
                ..Frame::default()
            };
            assert_eq!(addresses.map(|address| batch.frame(at(address))), [0; 3]);
            assert_eq!(batch.frames, [at(5)]);
        }
    }

    #[test]
    fn inlined_function_is_one_frame_wherever_it_was_inlined() {
        let mut batch = Batch::new();
        let function = batch.function(NAMED);
        let inlined = |address, is_folded| Frame {
            function,
            mapping: 1,
            address,
            is_inlined: true,
            is_folded,
            ..Frame::default()
        };
        assert_eq!(batch.frame(inlined(5, false)), 0);
        assert_eq!(batch.frame(inlined(9, true)), 0);
        assert_eq!(batch.frames, [inlined(0, false)]);
    }
}
