//! The in-memory form of one row group of all tables.

use crate::labels::Labels;
use davy_profile::{FlameTree, Frame, Pairs, StringId};
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

/// Splits a frame into a place and a number: the line, or the lower half of the address if the frame
/// is not symbolized. Different frames give different pairs.
fn split(frame: Frame) -> (Frame, u32) {
    if frame.address == 0 {
        return (Frame { line: 0, ..frame }, frame.line);
    }
    let address = frame.address | u64::from(u32::MAX);
    (Frame { address, ..frame }, frame.address as u32)
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
    /// Distinct places. The tree's own index of frames is not used.
    places: Vec<Frame>,
    /// Number, counted from 1, of each (name, file).
    symbol_index: Pairs,
    /// Number, counted from 1, of the place of each (symbol, first line).
    function_index: Pairs,
    /// Places that are not functions.
    place_index: FxHashMap<Frame, u32>,
    /// Number, counted from 1, of the frame of each (place, number).
    frame_index: Pairs,
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

    /// The index of a frame, which is added if it is new. Its texts belong to the tree's table.
    pub fn frame(&mut self, frame: Frame) -> u32 {
        let (place, last) = split(frame);
        let function = Frame {
            name: place.name,
            file: place.file,
            start_line: place.start_line,
            ..Frame::default()
        };
        let index = if place == function {
            self.function(place.name, place.file, place.start_line)
        } else {
            *self.place_index.entry(place).or_insert_with(|| {
                self.places.push(place);
                self.places.len() as u32 - 1
            })
        };
        self.frame_at(index, last, |_| frame)
    }

    /// The index of a function. Many frames differ only in their line; [`Batch::line`] finds them
    /// faster than [`Batch::frame`].
    pub fn function(&mut self, name: StringId, file: StringId, start_line: u32) -> u32 {
        let next = self.symbol_index.len() as u32 + 1;
        let symbol = self.symbol_index.find_or_insert(name.0, file.0, next);
        let next = self.places.len() as u32 + 1;
        let found = self.function_index.find_or_insert(symbol, start_line, next);
        if found == next {
            self.places.push(Frame {
                name,
                file,
                start_line,
                ..Frame::default()
            });
        }
        found - 1
    }

    /// The index of the frame for a line of a function.
    #[inline]
    pub fn line(&mut self, function: u32, line: u32) -> u32 {
        self.frame_at(function, line, |function| Frame { line, ..*function })
    }

    #[inline]
    fn frame_at(&mut self, place: u32, last: u32, make: impl FnOnce(&Frame) -> Frame) -> u32 {
        let next = self.stacks.frames.len() as u32 + 1;
        let found = self.frame_index.find_or_insert(place, last, next);
        if found == next {
            self.stacks.frames.push(make(&self.places[place as usize]));
        }
        found - 1
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
            + self.stacks.frames.len() * 96
            + self.stacks.strings.text_len()
            + self.stacks.strings.len() * 24
            + self.places.len() * 160
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

    #[test]
    fn frames_that_differ_in_any_field_get_different_indices() {
        let name = |name| Frame {
            name: StringId(name),
            ..Frame::default()
        };
        let mut frames = vec![name(0), name(1)];
        for last in [1, 5, u32::MAX] {
            let line = Frame {
                line: last,
                ..name(0)
            };
            frames.push(line);
            for high in [0, 1 << 32, 1 << 63] {
                let address = u64::from(last) | high;
                frames.push(Frame { address, ..name(0) });
                frames.push(Frame { address, ..line });
            }
        }
        let mut batch = Batch::new();
        for round in 0..2 {
            for (index, frame) in frames.iter().enumerate() {
                assert_eq!(batch.frame(*frame), index as u32, "round {round}");
            }
        }
        assert_eq!(batch.stacks.frames, frames);
        let function = batch.function(StringId(0), StringId(0), 0);
        assert_eq!(
            batch.line(function, 5),
            batch.frame(Frame { line: 5, ..name(0) })
        );
    }
}
