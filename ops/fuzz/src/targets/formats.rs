//! The formats of davy-import.

use super::LIMITS;
use crate::invariants;
use davy_import::{Error, Format, Options, decode};
use std::sync::LazyLock;

/// Counts are scaled, so that their products can exceed 64 bits.
const OPTIONS: Options<'_> = Options {
    limits: LIMITS,
    kind: "samples",
    unit: "count",
    scale: 10,
    headers: true,
    labels: &[],
};

/// Returns whether the input was accepted.
fn check(input: &[u8], format: Format, options: &Options<'_>) -> bool {
    let import = match decode(input, format, options) {
        Ok(import) => import,
        Err(error) => {
            assert_short(&error);
            return false;
        }
    };
    assert!(!import.profiles.is_empty(), "no profile and no error");
    assert_eq!(import.skipped.count > 0, import.skipped.first.is_some());
    for named in &import.profiles {
        invariants::check(&named.profile, &LIMITS);
        if format != Format::Pprof {
            let values = &named.profile.samples.values;
            assert!(values.iter().all(|value| *value >= 0), "a negative value");
        }
    }
    true
}

/// An error message must not repeat the input as a whole.
fn assert_short(error: &Error) {
    let message = error.to_string();
    assert!(
        message.len() < 4_096,
        "a message of {} bytes",
        message.len()
    );
}

/// Decodes folded stacks.
pub fn folded(input: &[u8]) -> bool {
    let _ = davy_profile::folded::decode(input, &LIMITS);
    check(input, Format::Folded, &OPTIONS)
}

/// Decodes lines of stacks.
pub fn lines(input: &[u8]) -> bool {
    check(input, Format::Lines, &OPTIONS)
}

/// Decodes a binary tree.
pub fn tree(input: &[u8]) -> bool {
    check(input, Format::Tree, &OPTIONS)
}

/// Decodes a binary trie.
pub fn trie(input: &[u8]) -> bool {
    check(input, Format::Trie, &OPTIONS)
}

/// Decodes a speedscope file.
pub fn speedscope(input: &[u8]) -> bool {
    check(input, Format::Speedscope, &OPTIONS)
}

/// Decodes a JFR recording.
pub fn jfr(input: &[u8]) -> bool {
    check(input, Format::Jfr, &OPTIONS)
}

/// Decodes the labels of a JFR recording.
pub fn jfr_labels(input: &[u8]) -> bool {
    static RECORDING: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let packed = include_bytes!("../../../../profiler/import/tests/data/agent.jfr.gz");
        let unpacked = davy_profile::gzip::unpack(packed, &LIMITS);
        unpacked.expect("a valid recording").into_owned()
    });
    let options = Options {
        labels: input,
        ..OPTIONS
    };
    check(&RECORDING, Format::Jfr, &options)
}

/// Decodes the output of `perf script`.
pub fn perf_script(input: &[u8]) -> bool {
    check(input, Format::PerfScript, &OPTIONS)
}

/// Decodes a `.cpuprofile`.
pub fn cpuprofile(input: &[u8]) -> bool {
    check(input, Format::CpuProfile, &OPTIONS)
}

/// Decodes a `.heapprofile`.
pub fn heapprofile(input: &[u8]) -> bool {
    check(input, Format::HeapProfile, &OPTIONS)
}

/// Recognizes the format of any bytes, and decodes them in that format.
pub fn detect(input: &[u8]) -> bool {
    match davy_import::detect(input) {
        Ok(format) => {
            assert_ne!(format, Format::Lines, "lines are never recognized");
            check(input, format, &OPTIONS)
        }
        Err(error) => {
            assert_short(&error);
            false
        }
    }
}
