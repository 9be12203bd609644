//! The in-memory form of one row group of all tables.

use super::header::Header;
use super::spans::SpanRow;
use crate::labels::{BUILD_ID, Labels};
use crate::types;
use davy_profile::flame::{CodePlace, MappingTable};
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
    /// The value of a label: of the samples, of their `source`, the build id of their program, or of their type
    /// ([`types::LABELS`]); "" if there is none.
    pub fn label<'a>(&'a self, name: &str, source: &'a Labels) -> &'a str {
        let pushed = [self.labels.get(name), source.get(name)];
        match pushed.into_iter().find(|value| !value.is_empty()) {
            Some(value) => value,
            None if name == BUILD_ID => &self.header.build_id,
            None => types::label(name, &self.kind),
        }
    }

    /// Names of all labels for which [`label`](Self::label) has a value, without those of the type; a name can occur
    /// twice.
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
    /// Number of pushed profiles: 1, or those that a cell of a day block sums up.
    pub count: u32,
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
    /// 128 bits that identify the function if it has a name or a symbol name.
    pub fn named_digest(&self) -> Option<u128> {
        let is_named = !self.name.is_empty() || !self.system_name.is_empty();
        is_named.then(|| self.digest().bits)
    }

    /// 128 bits that identify the function. To compare digests takes one memory access, and to compare strings
    /// several for each.
    fn digest(&self) -> FunctionDigest {
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
        FunctionDigest {
            bits: xxh3_128(&all),
            is_named: texts.iter().any(|text| !text.is_empty()),
        }
    }
}

/// What identifies a function.
#[derive(Clone, Copy, Debug)]
struct FunctionDigest {
    bits: u128,
    /// Whether it has a text.
    is_named: bool,
}

/// The words of a digest, for [`WordMap`].
pub fn words(digest: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| (digest >> shift) as u32)
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
    /// The frame as it is stored, and 128 bits that identify it.
    #[inline]
    fn identified(mut self, function: FunctionDigest) -> (Self, [u32; 4]) {
        let place = CodePlace {
            mapping: self.mapping,
            address: self.address,
            is_inlined: self.is_inlined,
            is_folded: self.is_folded,
        };
        let place = place.of_frame(function.is_named);
        (self.address, self.is_folded) = (place.address, place.is_folded);
        let place = place.identity(function.is_named);
        // Columns are written in 31 bits.
        let flags = u32::from(place.is_inlined) << 31 | self.column;
        let mapping = u32::from(place.is_folded) << 31 | place.mapping;
        let mut all = [0; 40];
        all[..16].copy_from_slice(&function.bits.to_le_bytes());
        all[16..24].copy_from_slice(&place.address.to_le_bytes());
        for (at, number) in [self.line, mapping, flags].into_iter().enumerate() {
            all[24 + 4 * at..][..4].copy_from_slice(&number.to_le_bytes());
        }
        (self, words(xxh3_128(&all)))
    }
}

/// Number of frames or stacks that are looked up together.
pub const TOGETHER: usize = 64;

/// Sums by series and window.
pub type Totals = FxHashMap<(u32, u32), i64>;

/// Number of entries of the large tables of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchSize {
    functions: usize,
    frames: usize,
    nodes: usize,
    rows: usize,
}

impl BatchSize {
    /// The size of a part that has this many of the rows.
    #[must_use]
    pub fn share(self, rows: usize) -> Self {
        let share = |of: usize| (of as u128 * rows as u128 / self.rows.max(1) as u128) as usize;
        Self {
            functions: share(self.functions),
            frames: share(self.frames),
            nodes: share(self.nodes),
            rows,
        }
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
    /// Parts of values that belong to spans, in any order.
    pub spans: Vec<SpanRow>,
    /// Number of rows of spans that were left out.
    pub spans_left_out: usize,
    /// Sums by series and window, if the rows are sums over all windows, with window 0.
    pub totals: Option<Totals>,
    source_index: FxHashMap<Source, u32>,
    series_index: FxHashMap<Series, u32>,
    window_index: FxHashMap<WindowId, u32>,
    /// Number, counted from 1, of the function with each digest.
    function_index: WordMap<4>,
    /// Number, counted from 1, of the frame with each digest.
    frame_index: WordMap<4>,
    /// Digest of each function.
    function_digests: Vec<FunctionDigest>,
    /// Estimated memory of the labels.
    label_bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its size.
    pub fn size(&self) -> BatchSize {
        BatchSize {
            functions: self.functions.len(),
            frames: self.frames.len(),
            nodes: self.stacks.len(),
            rows: self.rows.len(),
        }
    }

    /// Reserves capacity, so that entries are not moved until the batch has this size.
    pub fn reserve(&mut self, size: BatchSize) {
        self.functions.reserve(size.functions);
        self.function_digests.reserve(size.functions);
        self.function_index.reserve(size.functions);
        self.frames.reserve(size.frames);
        self.frame_index.reserve(size.frames);
        self.stacks.reserve(size.nodes);
        self.rows.reserve(size.rows);
    }

    /// The index of a function, which is added if it is new.
    pub fn function(&mut self, function: FunctionTexts<'_>) -> u32 {
        self.function_as(function.digest(), function)
    }

    fn function_as(&mut self, digest: FunctionDigest, function: FunctionTexts<'_>) -> u32 {
        let next = self.functions.len() as u32 + 1;
        let found = self.function_index.find_or_insert(words(digest.bits), next);
        if found == next {
            self.function_digests.push(digest);
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
        let digest = self.function_digests[frame.function as usize];
        let (frame, key) = frame.identified(digest);
        self.frame_as(key, frame, |_| frame.function)
    }

    /// The indices of many frames, which is faster than one by one. Their functions are indices of `functions`,
    /// which are looked up for new frames only.
    pub fn all_frames(&mut self, functions: &[FunctionTexts<'_>], frames: &[Frame]) -> Vec<u32> {
        let digests: Vec<FunctionDigest> = functions.iter().map(FunctionTexts::digest).collect();
        let mut known: Vec<Option<u32>> = vec![None; functions.len()];
        let mut indices = Vec::with_capacity(frames.len());
        let mut together: Vec<(Frame, [u32; 4])> = Vec::with_capacity(TOGETHER);
        for frames in frames.chunks(TOGETHER) {
            together.clear();
            together.extend(
                frames
                    .iter()
                    .map(|frame| frame.identified(digests[frame.function as usize])),
            );
            self.frame_index
                .prefetch(together.iter().map(|(_, key)| *key));
            indices.extend(together.iter().map(|(frame, key)| {
                let function = frame.function as usize;
                self.frame_as(*key, *frame, |batch| {
                    *known[function].get_or_insert_with(|| {
                        batch.function_as(digests[function], functions[function])
                    })
                })
            }));
        }
        indices
    }

    #[inline]
    fn frame_as(
        &mut self,
        key: [u32; 4],
        frame: Frame,
        function: impl FnOnce(&mut Self) -> u32,
    ) -> u32 {
        let next = self.frames.len() as u32 + 1;
        let found = self.frame_index.find_or_insert(key, next);
        let index = found - 1;
        if found == next {
            let function = function(self);
            self.frames.push(Frame { function, ..frame });
        } else if frame.mapping == 0 && frame.address != 0 {
            // The address may not be a part of the key.
            let known = &mut self.frames[index as usize].address;
            *known = CodePlace::lower_address(*known, frame.address);
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

    /// Adds a window to the cell with this key and returns the index of the cell. A cell begins at `start_ms`, and
    /// its id is the sum of the ids of its windows, whatever their order.
    pub fn cell(&mut self, key: u128, start_ms: i64, window: Window) -> u32 {
        let index = *self.window_index.entry(key).or_insert_with(|| {
            self.windows.push(Window {
                id: 0,
                start_ms,
                duration_ms: 0,
                time_nanos: 0,
                duration_nanos: 0,
                count: 0,
                ..window
            });
            self.windows.len() as u32 - 1
        });
        let cell = &mut self.windows[index as usize];
        cell.id = cell.id.wrapping_add(window.id);
        cell.count = cell.count.saturating_add(window.count);
        cell.duration_ms = cell.duration_ms.saturating_add(window.duration_ms);
        cell.duration_nanos = cell.duration_nanos.saturating_add(window.duration_nanos);
        cell.time_nanos = match (cell.time_nanos, window.time_nanos) {
            (0, time) | (time, 0) => time,
            (known, time) => known.min(time),
        };
        index
    }

    /// Adds a cell of another batch and returns its index. Cells of different hours or days can have the same id.
    pub fn another_cell(&mut self, cell: Window) -> u32 {
        self.windows.push(cell);
        self.windows.len() as u32 - 1
    }

    /// Adds up the rows of a series and stack, in batches whose rows are sums over all windows.
    pub fn fold(&mut self) {
        let key = |row: &Row| u64::from(row.series) << 32 | u64::from(row.node);
        self.rows.sort_unstable_by_key(key);
        self.rows.dedup_by(|row, kept| {
            let is_same = key(row) == key(kept);
            if is_same {
                kept.value = kept.value.saturating_add(row.value);
            }
            is_same
        });
    }

    /// Whether the batch has a window.
    pub fn has_window(&self, id: WindowId) -> bool {
        self.window_index.contains_key(&id)
    }

    /// Estimated memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.spans.len() * size_of::<SpanRow>()
            + self.stacks.len() * 32
            + self.frames.len() * 80
            + self.functions.len() * 88
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
mod tests;
