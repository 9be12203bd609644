//! Errors of the codecs, and limits on the size of their input.
//!
//! The crates that other programs link implement their errors by hand: a derive macro would add crates to
//! those programs.

use crate::units;
use crate::wire;
use std::fmt;

/// Why an input is not an acceptable profile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    Gzip(String),
    GzipTruncated,
    TooLarge {
        limit: usize,
    },
    Bomb {
        ratio: usize,
    },
    Wire(wire::Error),
    Dangling {
        what: &'static str,
        index: usize,
        target: &'static str,
        id: u64,
    },
    ZeroId {
        what: &'static str,
        index: usize,
    },
    DuplicateId {
        what: &'static str,
        id: u64,
    },
    ValueCount {
        index: usize,
        got: usize,
        expected: usize,
    },
    Concatenated,
    GzipTrailing,
    NoSampleType,
    TooDeep {
        index: usize,
        depth: usize,
        limit: usize,
    },
    TooMany {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    TooLong {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    Folded {
        line: usize,
        problem: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip(problem) => write!(f, "invalid gzip stream: {problem}"),
            Self::GzipTruncated => f.write_str("truncated gzip stream; send the whole file"),
            Self::TooLarge { limit } => write!(
                f,
                "profile exceeds {}, the limit for one profile, after decompression; split it by time",
                units::bytes(*limit as f64)
            ),
            Self::Bomb { ratio } => write!(
                f,
                "gzip bomb: the data expands to more than {ratio} times its compressed size, the limit"
            ),
            Self::Wire(error) => write!(f, "invalid pprof profile: {error}"),
            Self::Dangling {
                what,
                index,
                target,
                id,
            } => write!(
                f,
                "invalid pprof profile: {what} {index} refers to {target} {id}, which does not exist"
            ),
            Self::ZeroId { what, index } => write!(
                f,
                "invalid pprof profile: {what} {index} has no id, or the reserved id 0"
            ),
            Self::DuplicateId { what, id } => write!(
                f,
                "invalid pprof profile: duplicate {what} id {id}; if several profiles were written to one file, send \
                 each one in a request of its own"
            ),
            Self::ValueCount {
                index,
                got,
                expected,
            } => write!(
                f,
                "invalid pprof profile: sample {index} has {}; expected {expected}, one for each sample type",
                units::count(*got, "value", "values")
            ),
            Self::Concatenated => f.write_str(
                "the body contains several profiles one after another; send each one in a request of its own",
            ),
            Self::GzipTrailing => f.write_str(
                "the gzip stream is followed by other bytes; send the file as the profiler wrote it",
            ),
            Self::NoSampleType => f.write_str("invalid pprof profile: no sample type"),
            Self::TooDeep {
                index,
                depth,
                limit,
            } => write!(f, "sample {index} is {depth} frames deep; the limit is {limit}"),
            Self::TooMany { what, got, limit } => write!(
                f,
                "profile has {got} {what}; the limit is {limit}; split it by time"
            ),
            Self::TooLong { what, got, limit } => {
                write!(f, "{what} is {got} bytes long; the limit is {limit}")
            }
            Self::Folded { line, problem } => write!(
                f,
                "invalid folded stacks: line {line}: {problem}; expected lines such as \"main;work 42\""
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wire(error) => Some(error),
            _ => None,
        }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Wire(error)
    }
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

impl Limits {
    /// Decompressed bytes up to which the compression ratio is not limited.
    pub(crate) const BOMB_FLOOR: usize = 1 << 20;

    /// Whether this number of bytes after decompression is more than the ratio allows.
    pub(crate) fn is_bomb(&self, unpacked: usize, packed: usize) -> bool {
        unpacked > Self::BOMB_FLOOR && unpacked / self.ratio.max(1) > packed
    }
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
