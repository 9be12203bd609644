//! What is wrong with an input, and how large an input may be.

/// Why an input is not a profile that can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the variants are")]
pub enum Error {
    #[error("not a gzip stream: {0}")]
    Gzip(String),
    #[error("the gzip stream ends before its end")]
    GzipTruncated,
    #[error("unpacks to more than {limit} bytes, the limit for one profile")]
    TooLarge { limit: usize },
    #[error("unpacks to more than {ratio} times its size, as only a gzip bomb does")]
    Bomb { ratio: usize },
    #[error("not a pprof profile: {what} at byte {at}")]
    Wire { what: &'static str, at: usize },
    #[error("{what} {index} names {target} {id}, which the profile does not have")]
    Dangling {
        what: &'static str,
        index: usize,
        target: &'static str,
        id: u64,
    },
    #[error("{what} {id} is there twice")]
    Twice { what: &'static str, id: u64 },
    #[error("sample {index} has {got} values, but the profile has {expected} sample types")]
    ValueCount {
        index: usize,
        got: usize,
        expected: usize,
    },
    #[error("sample {index} is {depth} frames deep, the limit is {limit}")]
    TooDeep {
        index: usize,
        depth: usize,
        limit: usize,
    },
    #[error("the profile has {got} {what}, the limit is {limit}")]
    TooMany {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    #[error("{what} is {got} bytes long, the limit is {limit}")]
    TooLong {
        what: &'static str,
        got: usize,
        limit: usize,
    },
    #[error("the profile has no sample type")]
    NoSampleType,
    #[error("line {line}: {what}")]
    Folded { line: usize, what: &'static str },
    #[error("not a {what}: {why}")]
    View {
        what: &'static str,
        why: &'static str,
    },
}

/// How large an input may be. The defaults are far above what real agents send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one profile after unpacking.
    pub bytes: usize,
    /// How many times its packed size a profile above 1 MiB may unpack to.
    pub ratio: usize,
    /// Samples of one profile.
    pub samples: usize,
    /// Frames of one stack.
    pub depth: usize,
    /// Nodes of the tree of all stacks.
    pub nodes: usize,
    /// Bytes of one string.
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
