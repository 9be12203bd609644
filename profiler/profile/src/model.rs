//! A profile as pprof knows it, with its stacks as a tree.

use crate::{Label, LabelSetId, LabelSets, LabelValue, NodeId, StackTree, StringId, StringTable};
use rustc_hash::FxHashMap;

/// What a number counts, and in which unit: (`cpu`, `nanoseconds`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// What is counted.
    pub kind: StringId,
    /// The unit.
    pub unit: StringId,
}

/// A piece of a binary in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "pprof's own fields")]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub limit: u64,
    /// Offset in the file of `start`.
    pub file_offset: u64,
    /// Path of the file.
    pub file: StringId,
    /// The file's build id, in hexadecimal.
    pub build_id: StringId,
    /// Whether its locations have function names.
    pub has_functions: bool,
    /// Whether its locations have file names.
    pub has_filenames: bool,
    /// Whether its locations have line numbers.
    pub has_line_numbers: bool,
    /// Whether its locations have inlined frames.
    pub has_inline_frames: bool,
}

/// A function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Function {
    /// Name for people.
    pub name: StringId,
    /// Name as the linker knows it.
    pub system_name: StringId,
    /// Source file.
    pub file: StringId,
    /// First line, 0 where it is not known.
    pub start_line: i64,
}

/// A line of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// Index into [`Profile::functions`], or [`Line::NO_FUNCTION`].
    pub function: u32,
    /// Line number, 0 where it is not known.
    pub line: i64,
    /// Column, 0 where it is not known.
    pub column: i64,
}

impl Line {
    /// In the place of a function that is not known.
    pub const NO_FUNCTION: u32 = u32::MAX;
}

/// A place in a program. Several lines: the first is inlined into the second, and so on; the last
/// is the function that holds the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// Index into [`Profile::mappings`], where the place is in one.
    pub mapping: Option<u32>,
    /// Address, 0 where it is not known.
    pub address: u64,
    /// First of its lines in [`Profile::lines`].
    pub first_line: u32,
    /// How many lines it has.
    pub line_count: u32,
    /// Whether several symbols share this code (identical code folding).
    pub is_folded: bool,
}

/// Samples as columns.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The stack of each sample; items of the stack tree are indices into [`Profile::locations`].
    pub stacks: Vec<NodeId>,
    /// The labels of each sample.
    pub labels: Vec<LabelSetId>,
    /// The values, one for each sample type, sample after sample.
    pub values: Vec<i64>,
}

/// A whole profile. Its fields may be filled directly; the methods keep what they add unique.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Every text of the profile.
    pub strings: StringTable,
    /// What the values of a sample are, in their order.
    pub sample_types: Vec<ValueType>,
    /// The sample type to show first; "" where none is named.
    pub default_sample_type: StringId,
    /// What the period counts.
    pub period_type: ValueType,
    /// The distance between samples, in the period's unit.
    pub period: i64,
    /// When it was taken: nanoseconds since the epoch, 0 where it is not known.
    pub time_nanos: i64,
    /// Over how long it was taken, in nanoseconds, 0 where it is not known.
    pub duration_nanos: i64,
    /// Pieces of binaries.
    pub mappings: Vec<Mapping>,
    /// Functions.
    pub functions: Vec<Function>,
    /// Lines of all locations, one location's after the other's.
    pub lines: Vec<Line>,
    /// Places.
    pub locations: Vec<Location>,
    /// Stacks of locations.
    pub stacks: StackTree,
    /// Label sets of samples.
    pub label_sets: LabelSets,
    /// Samples.
    pub samples: Samples,
    /// Free text.
    pub comments: Vec<StringId>,
    /// Frames that pprof drops from the display (a regular expression).
    pub drop_frames: StringId,
    /// Frames that pprof keeps though `drop_frames` matches.
    pub keep_frames: StringId,
    /// A page that explains the profile.
    pub doc_url: StringId,
    function_index: FxHashMap<Function, u32>,
    location_index: FxHashMap<(Option<u32>, u64, Vec<Line>), u32>,
}

impl Profile {
    /// An empty profile.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample type.
    pub fn add_sample_type(&mut self, kind: &str, unit: &str) {
        let value_type = ValueType {
            kind: self.strings.intern(kind),
            unit: self.strings.intern(unit),
        };
        self.sample_types.push(value_type);
    }

    /// The index of this function, which is added if it is new.
    pub fn function(&mut self, function: Function) -> u32 {
        *self.function_index.entry(function).or_insert_with(|| {
            self.functions.push(function);
            self.functions.len() as u32 - 1
        })
    }

    /// The index of this place, which is added if it is new. `lines` begins with the innermost
    /// inlined function.
    pub fn location(&mut self, mapping: Option<u32>, address: u64, lines: &[Line]) -> u32 {
        let (all, locations) = (&mut self.lines, &mut self.locations);
        *self
            .location_index
            .entry((mapping, address, lines.to_vec()))
            .or_insert_with(|| {
                let (first_line, line_count) = (all.len() as u32, lines.len() as u32);
                all.extend_from_slice(lines);
                locations.push(Location {
                    mapping,
                    address,
                    first_line,
                    line_count,
                    is_folded: false,
                });
                locations.len() as u32 - 1
            })
    }

    /// The index of a place that is a function's name and no more.
    pub fn named_location(&mut self, name: &str) -> u32 {
        let name = self.strings.intern(name);
        let function = self.function(Function {
            name,
            system_name: name,
            ..Function::default()
        });
        self.location(
            None,
            0,
            &[Line {
                function,
                line: 0,
                column: 0,
            }],
        )
    }

    /// The node of a stack given from its root to its leaf.
    pub fn stack(&mut self, root_to_leaf: impl IntoIterator<Item = u32>) -> NodeId {
        root_to_leaf
            .into_iter()
            .fold(NodeId::ROOT, |parent, location| {
                self.stacks.child(parent, location)
            })
    }

    /// The number of a label set of texts.
    pub fn text_labels(&mut self, labels: &[(&str, &str)]) -> LabelSetId {
        let labels: Vec<Label> = labels
            .iter()
            .map(|(key, value)| Label {
                key: self.strings.intern(key),
                value: LabelValue::Text(self.strings.intern(value)),
            })
            .collect();
        self.label_sets.intern(&labels)
    }

    /// Adds a sample; `values` holds one number for each sample type.
    pub fn add_sample(&mut self, stack: NodeId, labels: LabelSetId, values: &[i64]) {
        debug_assert_eq!(
            values.len(),
            self.sample_types.len(),
            "one value for each sample type"
        );
        self.samples.stacks.push(stack);
        self.samples.labels.push(labels);
        self.samples.values.extend_from_slice(values);
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.stacks.len()
    }

    /// The values of a sample, one for each sample type.
    pub fn values(&self, sample: usize) -> &[i64] {
        let width = self.sample_types.len();
        &self.samples.values[sample * width..(sample + 1) * width]
    }

    /// The text that a sample has under this label; "" where it has none.
    pub fn label(&self, sample: usize, name: &str) -> &str {
        let labels = self.label_sets.get(self.samples.labels[sample]);
        let found = labels.iter().find(|label| self.text(label.key) == name);
        match found.map(|label| label.value) {
            Some(LabelValue::Text(text)) => self.text(text),
            _ => "",
        }
    }

    /// The lines of a location, the innermost inlined one first.
    pub fn lines_of(&self, location: &Location) -> &[Line] {
        &self.lines
            [location.first_line as usize..(location.first_line + location.line_count) as usize]
    }

    /// The text of a number.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }
}
