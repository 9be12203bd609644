//! Encoding of segments and blocks, as documented in FORMAT.md.

pub mod batch;
pub mod block;
pub mod columns;
pub mod header;
pub mod order;
pub mod segment;
pub mod spans;
pub mod symbols;
pub mod tables;

/// Version of segments, blocks and their tables.
pub const VERSION: u32 = 2;

/// A table of segments and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Series and their labels.
    Series,
    /// Windows and their ids.
    Windows,
    /// Distinct mappings of files into processes.
    Mappings,
    /// Distinct functions.
    Functions,
    /// Distinct frames.
    Frames,
    /// Distinct stacks.
    Nodes,
    /// Values of (series, stack, window).
    Samples,
    /// Sums of (series, stack) over all windows; blocks only.
    Sums,
    /// Sums of (series, window) over all stacks; blocks only.
    Totals,
    /// Parts of values that belong to spans; only of segments and hour blocks that have spans.
    Spans,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 10] = [
        Self::Series,
        Self::Windows,
        Self::Mappings,
        Self::Functions,
        Self::Frames,
        Self::Nodes,
        Self::Samples,
        Self::Sums,
        Self::Totals,
        Self::Spans,
    ];

    /// The tables of a segment, besides that of spans.
    pub const OF_SEGMENT: [Self; 7] = [
        Self::Series,
        Self::Windows,
        Self::Mappings,
        Self::Functions,
        Self::Frames,
        Self::Nodes,
        Self::Samples,
    ];

    /// Name of the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Windows => "windows",
            Self::Mappings => "mappings",
            Self::Functions => "functions",
            Self::Frames => "frames",
            Self::Nodes => "nodes",
            Self::Samples => "samples",
            Self::Sums => "sums",
            Self::Totals => "totals",
            Self::Spans => "spans",
        }
    }

    /// Whether segments and blocks can be without it.
    pub fn is_optional(self) -> bool {
        self == Self::Spans
    }

    /// The table with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The name of its file in a block.
    pub fn file(self) -> String {
        format!("{}.parquet", self.name())
    }
}
