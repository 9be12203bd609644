//! The model of a profile: pprof's, with the stacks as a tree.

use crate::{Label, LabelSetId, LabelSets, LabelValue, NodeId, StackTree, StringId, StringTable};
use rustc_hash::FxHashMap;

/// What a value measures, and its unit: (`cpu`, `nanoseconds`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// What is measured.
    pub kind: StringId,
    /// The unit.
    pub unit: StringId,
}

/// A part of a binary that is mapped into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "pprof's own fields")]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address after the last one.
    pub limit: u64,
    /// Offset of `start` in the file.
    pub file_offset: u64,
    /// Path of the file.
    pub file: StringId,
    /// Build id of the file, in hexadecimal.
    pub build_id: StringId,
    /// Whether its locations have function names.
    pub has_functions: bool,
    /// Whether its locations have file names.
    pub has_filenames: bool,
    /// Whether its locations have line numbers.
    pub has_line_numbers: bool,
    /// Whether its locations include inlined frames.
    pub has_inline_frames: bool,
    /// Whether it is the first mapping of its profile, which tools take for the program itself. Not a field
    /// of pprof.
    pub is_main: bool,
}

/// A function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Function {
    /// Demangled name.
    pub name: StringId,
    /// Symbol name.
    pub system_name: StringId,
    /// Source file.
    pub file: StringId,
    /// First line, 0 if unknown.
    pub start_line: i64,
}

/// A source line of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// Index into [`Profile::functions`], or [`Line::NO_FUNCTION`].
    pub function: u32,
    /// Line number, 0 if unknown.
    pub line: i64,
    /// Column, 0 if unknown.
    pub column: i64,
}

impl Line {
    /// The function is unknown.
    pub const NO_FUNCTION: u32 = u32::MAX;
}

/// A location in a program. If it has several lines, each is inlined into the next; the last one
/// belongs to the function that contains the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// Index into [`Profile::mappings`], if the location belongs to a mapping.
    pub mapping: Option<u32>,
    /// Address, 0 if unknown.
    pub address: u64,
    /// Index of its first line in [`Profile::lines`].
    pub first_line: u32,
    /// Number of lines.
    pub line_count: u32,
    /// Whether several functions share this code (identical code folding).
    pub is_folded: bool,
}

/// Samples, in columns.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The stack of each sample; items of the stack tree are indices into [`Profile::locations`].
    pub stacks: Vec<NodeId>,
    /// The label set of each sample.
    pub labels: Vec<LabelSetId>,
    /// The values, sample by sample, one for each sample type.
    pub values: Vec<i64>,
}

/// What a decoder truncated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truncated {
    /// Number of strings that end in [`MARK`](crate::truncate::MARK).
    pub strings: u64,
    /// Number of samples whose stack contains [`FRAME`](crate::truncate::FRAME).
    pub stacks: u64,
}

/// A profile. The methods deduplicate what they add; the fields may also be filled directly.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// All strings of the profile.
    pub strings: StringTable,
    /// The types of a sample's values, in their order.
    pub sample_types: Vec<ValueType>,
    /// Kind of the sample type to show first, or "".
    pub default_sample_type: StringId,
    /// What the period measures.
    pub period_type: ValueType,
    /// Interval between samples, in the unit of the period.
    pub period: i64,
    /// Start: nanoseconds since the Unix epoch, 0 if unknown.
    pub time_nanos: i64,
    /// Duration in nanoseconds, 0 if unknown.
    pub duration_nanos: i64,
    /// Mapped binaries.
    pub mappings: Vec<Mapping>,
    /// Functions.
    pub functions: Vec<Function>,
    /// Lines of all locations, location by location.
    pub lines: Vec<Line>,
    /// Locations.
    pub locations: Vec<Location>,
    /// Stacks of locations.
    pub stacks: StackTree,
    /// Label sets of the samples.
    pub label_sets: LabelSets,
    /// Samples.
    pub samples: Samples,
    /// Free-form comments.
    pub comments: Vec<StringId>,
    /// Regular expression of the frames that pprof hides.
    pub drop_frames: StringId,
    /// Regular expression of frames that pprof shows even if `drop_frames` matches.
    pub keep_frames: StringId,
    /// URL of the profile's documentation.
    pub doc_url: StringId,
    /// What a decoder left out because it exceeded a limit. Not a field of pprof.
    pub truncated: Truncated,
    function_index: FxHashMap<Function, u32>,
    location_index: FxHashMap<(Option<u32>, u64, Vec<Line>), u32>,
}

impl Profile {
    /// Returns an empty profile.
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

    /// Returns the index of a function, and adds the function if it is new.
    pub fn function(&mut self, function: Function) -> u32 {
        *self.function_index.entry(function).or_insert_with(|| {
            self.functions.push(function);
            self.functions.len() as u32 - 1
        })
    }

    /// Returns the index of a location, and adds the location if it is new. `lines` begins with the
    /// innermost inlined function.
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

    /// Returns the index of a location that has a function name only, and adds it if it is new.
    pub fn named_location(&mut self, name: &str) -> u32 {
        let name = self.strings.intern(name);
        // The symbol name is left empty: tools would demangle a name that is repeated there.
        let function = self.function(Function {
            name,
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

    /// Returns the node of a stack, and adds it if it is new.
    pub fn stack(&mut self, root_to_leaf: impl IntoIterator<Item = u32>) -> NodeId {
        root_to_leaf
            .into_iter()
            .fold(NodeId::ROOT, |parent, location| {
                self.stacks.child(parent, location)
            })
    }

    /// Returns the id of a label set with text values, and adds the set if it is new.
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

    /// Adds a sample; `values` has one value for each sample type.
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

    /// Number of samples.
    pub fn sample_count(&self) -> usize {
        self.samples.stacks.len()
    }

    /// Values of a sample, one for each sample type.
    pub fn values(&self, sample: usize) -> &[i64] {
        let width = self.sample_types.len();
        &self.samples.values[sample * width..(sample + 1) * width]
    }

    /// Text value of a sample's label; "" if the sample has no such label, or its value is a number.
    pub fn label(&self, sample: usize, name: &str) -> &str {
        let labels = self.label_sets.get(self.samples.labels[sample]);
        let found = labels.iter().find(|label| self.text(label.key) == name);
        match found.map(|label| label.value) {
            Some(LabelValue::Text(text)) => self.text(text),
            _ => "",
        }
    }

    /// The offset in its file of a location ([`Mapping::relative`]), or its address if it has no mapping; 0 if
    /// unknown.
    pub fn relative_address(&self, location: &Location) -> u64 {
        match location.mapping {
            Some(mapping) if location.address != 0 => {
                self.mappings[mapping as usize].relative(location.address)
            }
            _ => location.address,
        }
    }

    /// Whether a line says anything: where it is, or in which function.
    pub fn is_informative(&self, line: &Line) -> bool {
        let Some(function) = self.functions.get(line.function as usize) else {
            return false;
        };
        let texts = function.name.0 | function.system_name.0 | function.file.0;
        texts != 0 || function.start_line != 0 || line.line != 0
    }

    /// Lines of a location, the innermost inlined function first.
    pub fn lines_of(&self, location: &Location) -> &[Line] {
        &self.lines
            [location.first_line as usize..(location.first_line + location.line_count) as usize]
    }

    /// The string of an id.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }
}
