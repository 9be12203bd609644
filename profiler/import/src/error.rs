//! Why an input was refused.

use crate::Format;

/// Why an input is not an acceptable profile. Each message says what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("empty body; expected a profile")]
    Empty,
    #[error(
        "expected a profile, got an HTML page{}; check the URL and the proxies on the way",
        title.as_deref().map(|title| format!(" titled {title:?}")).unwrap_or_default()
    )]
    Html { title: Option<String> },
    #[error("expected a profile, got {what}; {hint}")]
    NotAProfile {
        what: &'static str,
        hint: &'static str,
    },
    #[error(
        "expected a profile, got JSON with the keys {keys}; \
         the supported JSON formats are speedscope, .cpuprofile and .heapprofile"
    )]
    UnknownJson { keys: String },
    #[error(
        "unknown binary format, first bytes {head}; expected pprof, JFR, or the tree or trie format of Pyroscope"
    )]
    UnknownBinary { head: String },
    #[error("invalid {format}: {problem} at byte {offset}")]
    Corrupt {
        format: Format,
        problem: &'static str,
        offset: usize,
    },
    #[error("invalid {format}: {item} {index} {problem}")]
    Invalid {
        format: Format,
        item: &'static str,
        index: usize,
        problem: String,
    },
    #[error("invalid {format}: no {what}")]
    Missing { format: Format, what: &'static str },
    #[error("invalid {format}: line {line}: {problem}; expected {}", example(*format))]
    Line {
        format: Format,
        line: usize,
        problem: &'static str,
    },
    #[error(
        "the body is a single line in which counts and stacks run together, such as {excerpt:?}: its line breaks \
         were removed, as curl -d does; send the file with curl --data-binary"
    )]
    Glued { excerpt: String },
    #[error(
        "{place}: {count} times {scale} exceeds 64 bits; if the counts are not samples, \
         name their unit (units), else correct the sample rate (sampleRate)"
    )]
    Overflow {
        place: String,
        count: String,
        scale: i64,
    },
    #[error("the values of one stack add up to more than 64 bits; split the profile by time")]
    SumOverflow,
    #[error(transparent)]
    Profile(#[from] davy_profile::Error),
}

/// What a line of a text format looks like.
fn example(format: Format) -> &'static str {
    match format {
        Format::Lines => "one stack per line, such as \"main;work\"",
        Format::PerfScript => {
            "the output of perf script: \"comm pid [cpu] seconds: period event:\", then one frame per line"
        }
        _ => "lines such as \"main;work 42\"",
    }
}
