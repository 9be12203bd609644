//! What one row group of every table holds, in memory.

use crate::labels::Labels;
use davy_profile::{FlameTree, Frame};
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

/// The identity of a window: the same window, pushed twice, has the same.
pub type WindowId = u128;

/// What a push was labelled with, before the labels of its samples.
pub type Source = Arc<Labels>;

/// A profile type of a source with the labels of some of its samples.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Index of its source.
    pub source: u32,
    /// Profile type id.
    pub kind: Arc<str>,
    /// Labels of the samples.
    pub labels: Arc<Labels>,
}

/// A span of samples that came at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Index of its source.
    pub source: u32,
    /// Its identity.
    pub id: WindowId,
    /// When it begins: milliseconds since the epoch.
    pub start_ms: i64,
    /// How long it is.
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

/// Windows of some sources with the dictionary of their stacks.
#[derive(Debug, Default)]
pub struct Batch {
    /// Sources.
    pub sources: Vec<Source>,
    /// Series.
    pub series: Vec<Series>,
    /// Windows.
    pub windows: Vec<Window>,
    /// Frames and stacks; its values are not used.
    pub stacks: FlameTree,
    /// Values, in any order; several of the same key add up.
    pub rows: Vec<Row>,
    source_index: FxHashMap<Source, u32>,
    series_index: FxHashMap<Series, u32>,
    window_index: FxHashMap<WindowId, u32>,
    /// Frames by hash. Four bytes an entry keep it near the processor, which the tree's own index
    /// of whole frames does not stay.
    frame_index: HashTable<u32>,
    /// Bytes of the labels.
    label_bytes: usize,
}

/// Of what tells frames apart: names and lines, or of unsymbolized ones the address.
fn frame_hash(frame: &Frame) -> u64 {
    let texts = u64::from(frame.name.0) << 32 | u64::from(frame.file.0);
    let lines = u64::from(frame.line) << 32 | u64::from(frame.start_line);
    FxBuildHasher.hash_one((texts, lines ^ frame.address))
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            stacks: FlameTree::new(),
            ..Self::default()
        }
    }

    /// The index of a frame, which is added if it is new. Its texts are of the tree's table.
    #[inline]
    pub fn frame(&mut self, frame: Frame) -> u32 {
        let frames = &mut self.stacks.frames;
        let entry = self.frame_index.entry(
            frame_hash(&frame),
            |index| frames[*index as usize] == frame,
            |index| frame_hash(&frames[*index as usize]),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(found) => *found.get(),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let index = frames.len() as u32;
                free.insert(index);
                frames.push(frame);
                index
            }
        }
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

    /// Adds a window and gives its index; `None` where it is there already.
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

    /// Whether a window is there already.
    pub fn has_window(&self, id: WindowId) -> bool {
        self.window_index.contains_key(&id)
    }

    /// An estimate of the memory that it takes.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.stacks.stacks.len() * 24
            + self.stacks.frames.len() * 96
            + self.stacks.strings.text_len()
            + self.stacks.strings.len() * 12
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
