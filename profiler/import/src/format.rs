//! The formats that can be decoded.

use std::fmt;

/// A format of profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// pprof's protobuf.
    Pprof,
    /// Folded stacks, `main;work 42`, with or without the headers of Austin.
    Folded,
    /// Stacks without counts, `main;work`. Only used if the sender states it: text without counts may
    /// as well be damaged folded stacks.
    Lines,
    /// Pyroscope's binary tree.
    Tree,
    /// Pyroscope's binary trie.
    Trie,
    /// speedscope's JSON.
    Speedscope,
    /// Java Flight Recorder, as the JDK and async-profiler write it.
    Jfr,
    /// Output of `perf script`.
    PerfScript,
    /// V8's CPU profile, `.cpuprofile`.
    CpuProfile,
    /// V8's sampling heap profile, `.heapprofile`.
    HeapProfile,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pprof => "pprof profile",
            Self::Folded => "folded stacks",
            Self::Lines => "lines of stacks",
            Self::Tree => "tree",
            Self::Trie => "trie",
            Self::Speedscope => "speedscope file",
            Self::Jfr => "JFR recording",
            Self::PerfScript => "perf script output",
            Self::CpuProfile => "CPU profile",
            Self::HeapProfile => "heap profile",
        })
    }
}

/// Names of the formats in requests, with the other names that agents use.
const NAMES: [(Format, &[&str]); 10] = [
    (Format::Pprof, &["pprof"]),
    (Format::Folded, &["folded", "groups"]),
    (Format::Lines, &["lines"]),
    (Format::Tree, &["tree"]),
    (Format::Trie, &["trie"]),
    (Format::Speedscope, &["speedscope"]),
    (Format::Jfr, &["jfr"]),
    (Format::PerfScript, &["perf_script"]),
    (Format::CpuProfile, &["cpuprofile"]),
    (Format::HeapProfile, &["heapprofile"]),
];

impl Format {
    /// The name of the format in requests.
    pub fn name(self) -> &'static str {
        let row = NAMES.iter().find(|(format, _)| *format == self);
        row.map_or("", |(_, names)| names[0])
    }

    /// The format with a name.
    pub fn of_name(name: &str) -> Option<Self> {
        let row = NAMES.iter().find(|(_, names)| names.contains(&name));
        row.map(|(format, _)| *format)
    }

    /// The names of all formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, names)| names[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_name_that_leads_back_to_it() {
        assert_eq!(Format::names().count(), NAMES.len());
        for (format, names) in NAMES {
            assert_eq!(format.name(), names[0]);
            for name in names {
                assert_eq!(Format::of_name(name), Some(format), "{name}");
            }
        }
        assert_eq!(Format::of_name("pcap"), None);
    }
}
