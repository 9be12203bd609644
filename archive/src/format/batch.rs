//! The in-memory form of one row group of all tables.

use crate::labels::Labels;
use davy_profile::{FlameTree, Frame, Pairs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

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
    pub header: Arc<str>,
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

/// A frame of a function: what differs between the frames of the same function.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spot {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Number of the mapping in the tree, counted from 1; 0 if unknown.
    pub mapping: u32,
    /// Address, relative to the file.
    pub address: u64,
    /// Whether it was inlined into the frame that contains it.
    pub is_inlined: bool,
    /// Whether several functions share its code.
    pub is_folded: bool,
}

impl Spot {
    /// A key for the frame of a function here: few words, so that hashing is fast.
    fn key(self, function: u32) -> [u64; 3] {
        let flags = u64::from(self.is_inlined) | u64::from(self.is_folded) << 1;
        // Columns are written in 31 bits.
        let mapping = u64::from(self.mapping) << 33 | u64::from(self.column) << 2 | flags;
        [
            u64::from(function) << 32 | u64::from(self.line),
            mapping,
            self.address,
        ]
    }
}

/// Windows of several sources and the dictionary of their stacks.
#[derive(Debug, Default)]
pub struct Batch {
    /// Sources.
    pub sources: Vec<Source>,
    /// Series.
    pub series: Vec<Series>,
    /// Windows.
    pub windows: Vec<Window>,
    /// Frames and stacks; the values of this tree are not used.
    pub stacks: FlameTree,
    /// Values in any order; rows with the same key add up.
    pub rows: Vec<Row>,
    source_index: FxHashMap<Source, u32>,
    series_index: FxHashMap<Series, u32>,
    window_index: FxHashMap<WindowId, u32>,
    /// Distinct functions, as frames without a spot. The tree's own index of frames is not used.
    functions: Vec<Frame>,
    /// Number, counted from 1, of each (name, file).
    name_index: Pairs,
    /// Number, counted from 1, of each (name and file, symbol).
    symbol_index: Pairs,
    /// Number, counted from 1, of the function of each (symbol, first line).
    function_index: Pairs,
    /// Index of each frame.
    frame_index: FxHashMap<[u64; 3], u32>,
    /// Estimated memory of the labels.
    label_bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            stacks: FlameTree::new(),
            ..Self::default()
        }
    }

    /// The index of a frame, which is added if it is new. Its texts and its mapping belong to the tree.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        let function = self.function(frame);
        let spot = Spot {
            line: frame.line,
            column: frame.column,
            mapping: frame.mapping,
            address: frame.address,
            is_inlined: frame.is_inlined,
            is_folded: frame.is_folded,
        };
        self.frame_at(function, spot)
    }

    /// The index of the function of a frame. Many frames differ only in their spot; [`Batch::frame_at`] finds
    /// them faster than [`Batch::frame`].
    pub fn function(&mut self, frame: Frame) -> u32 {
        let next = self.name_index.len() as u32 + 1;
        let name = self
            .name_index
            .find_or_insert(frame.name.0, frame.file.0, next);
        let next = self.symbol_index.len() as u32 + 1;
        let symbol = self
            .symbol_index
            .find_or_insert(name, frame.system_name.0, next);
        let next = self.functions.len() as u32 + 1;
        let found = self
            .function_index
            .find_or_insert(symbol, frame.start_line, next);
        if found == next {
            self.functions.push(Frame {
                name: frame.name,
                system_name: frame.system_name,
                file: frame.file,
                start_line: frame.start_line,
                ..Frame::default()
            });
        }
        found - 1
    }

    /// The index of the frame of a function at a spot.
    #[inline]
    pub fn frame_at(&mut self, function: u32, spot: Spot) -> u32 {
        let next = self.stacks.frames.len() as u32;
        // See `Frame::identity`.
        let is_known = spot.mapping == 0 && self.functions[function as usize].is_named();
        let address = if is_known { 0 } else { spot.address };
        let key = Spot { address, ..spot }.key(function);
        let found = *self.frame_index.entry(key).or_insert(next);
        if found == next {
            self.stacks.frames.push(Frame {
                line: spot.line,
                column: spot.column,
                mapping: spot.mapping,
                address: spot.address,
                is_inlined: spot.is_inlined,
                is_folded: spot.is_folded,
                ..self.functions[function as usize]
            });
        } else if is_known {
            self.stacks.frames[found as usize].absorb(spot.address);
        }
        found
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
            + self.stacks.stacks.len() * 40
            + self.stacks.frames.len() * 140
            + self.stacks.strings.text_len()
            + self.stacks.strings.len() * 24
            + self.functions.len() * 120
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
    use davy_profile::StringId;

    #[test]
    fn frames_that_differ_in_any_field_get_different_indices() {
        let name = Frame {
            name: StringId(1),
            ..Frame::default()
        };
        let mut frames = vec![Frame::default(), name];
        for n in [1, 5, u32::MAX] {
            let (id, address) = (StringId(n), u64::from(n));
            frames.extend([
                Frame {
                    system_name: id,
                    ..name
                },
                Frame { file: id, ..name },
                Frame {
                    start_line: n,
                    ..name
                },
                Frame { line: n, ..name },
                Frame { column: n, ..name },
                Frame { mapping: n, ..name },
                Frame {
                    address,
                    mapping: 7,
                    ..name
                },
                Frame {
                    address: address << 32,
                    mapping: 7,
                    ..name
                },
                Frame {
                    address,
                    ..Frame::default()
                },
                Frame {
                    is_inlined: true,
                    line: n,
                    ..name
                },
                Frame {
                    is_folded: true,
                    line: n,
                    ..name
                },
            ]);
        }
        let mut batch = Batch::new();
        for round in 0..2 {
            for (index, frame) in frames.iter().enumerate() {
                assert_eq!(batch.frame(*frame), index as u32, "round {round}");
            }
        }
        assert_eq!(batch.stacks.frames, frames);
    }

    #[test]
    fn address_of_a_function_without_a_mapping_does_not_count_and_the_lowest_is_kept() {
        let at = |address| Frame {
            name: StringId(1),
            address,
            ..Frame::default()
        };
        for addresses in [[0, 9, 5], [5, 9, 0], [9, 0, 5]] {
            let mut batch = Batch::new();
            assert_eq!(addresses.map(|address| batch.frame(at(address))), [0; 3]);
            assert_eq!(batch.stacks.frames, [at(5)]);
        }
    }
}
