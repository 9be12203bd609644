//! Errors of the codecs, and limits on the size of their input.

use crate::units;
use crate::wire;

/// Why an input is not an acceptable profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("invalid gzip stream: {0}")]
    Gzip(String),
    #[error("truncated gzip stream; send the whole file")]
    GzipTruncated,
    #[error(
        "profile exceeds {}, the limit for one profile, after decompression; split it by time",
        units::bytes(*limit as f64)
    )]
    TooLarge { limit: usize },
    #[error(
        "gzip bomb: the data expands to more than {ratio} times its compressed size, the limit"
    )]
    Bomb { ratio: usize },
    #[error("invalid pprof profile: {0}")]
    Wire(#[from] wire::Error),
    #[error("invalid pprof profile: {what} {index} refers to {target} {id}, which does not exist")]
    Dangling {
        what: &'static str,
        index: usize,
        target: &'static str,
        id: u64,
    },
    #[error("invalid pprof profile: {what} {index} has no id, or the reserved id 0")]
    ZeroId { what: &'static str, index: usize },
    #[error(
        "invalid pprof profile: duplicate {what} id {id}; if several profiles were written to one file, send each \
         one in a request of its own"
    )]
    DuplicateId { what: &'static str, id: u64 },
    #[error(
        "invalid pprof profile: sample {index} has {}; expected {expected}, one for each sample type",
        units::count(*got, "value", "values")
    )]
    ValueCount {
        index: usize,
        got: usize,
        expected: usize,
    },
    #[error(
        "the body contains several profiles one after another; send each one in a request of its own"
    )]
    Concatenated,
    #[error("the gzip stream is followed by other bytes; send the file as the profiler wrote it")]
    GzipTrailing,
    #[error("invalid pprof profile: no sample type")]
    NoSampleType,
    #[error("sample {index} is {depth} frames deep; the limit is {limit}")]
    TooDeep {
        index: usize,
        depth: usize,
        limit: usize,
    },
    #[error("profile has {got} {what}; the limit is {limit}; split it by time")]
    TooMany {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    #[error("{what} is {got} bytes long; the limit is {limit}")]
    TooLong {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    #[error(
        "invalid folded stacks: line {line}: {problem}; expected lines such as \"main;work 42\""
    )]
    Folded { line: usize, problem: &'static str },
}

/// Limits on the size of an input. The defaults are far above what real agents send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a profile after decompression.
    pub bytes: usize,
    /// Bytes after decompression per compressed byte, for profiles larger than 1 MiB.
    pub ratio: usize,
    /// Samples of a profile.
    pub samples: usize,
    /// Frames of a stack.
    pub depth: usize,
    /// Nodes of the tree of all stacks.
    pub nodes: usize,
    /// Bytes of a string.
    pub string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            ratio: 100,
            samples: 1_000_000,
            depth: 16_384,
            nodes: 4_000_000,
            string: 64 << 10,
        }
    }
}
