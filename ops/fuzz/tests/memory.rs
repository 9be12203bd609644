//! Inputs that repeat the smallest parts of a format take a bounded multiple of their size, with the limits that
//! the archive has by default.

use davy_fuzz::memory::{Counting, peak_of};
use davy_import::{Format, Options, decode};
use davy_profile::wire::Writer;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of each input.
const BYTES: usize = 2 << 20;
/// Maximum bytes of memory per byte of input.
const FACTOR: usize = 64;

fn repeated(part: &[u8]) -> Vec<u8> {
    part.repeat(BYTES / part.len())
}

fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut message = Writer::default();
    message.bytes(number, content);
    message.into_bytes()
}

#[test]
fn memory_is_a_bounded_multiple_of_the_input() {
    let text = |start: &str, part: &str, end: &str| {
        [start.as_bytes(), &repeated(part.as_bytes()), end.as_bytes()].concat()
    };
    let half = |part: &[u8]| part.repeat(BYTES / 2 / part.len());
    let numbered =
        |part: fn(usize) -> String| (0..BYTES / part(0).len()).map(part).collect::<String>();
    let inputs: Vec<(&str, Format, Vec<u8>)> = vec![
        ("samples", Format::Pprof, repeated(&[0x12, 0])),
        (
            "types and samples",
            Format::Pprof,
            [half(&[0x0a, 0]), half(&[0x12, 0])].concat(),
        ),
        (
            "locations",
            Format::Pprof,
            [field(1, &[]), repeated(&[0x22, 0])].concat(),
        ),
        (
            "lines",
            Format::Pprof,
            [
                field(1, &[]),
                field(4, &[&[8, 1][..], &repeated(&[0x22, 0])].concat()),
            ]
            .concat(),
        ),
        (
            "labels",
            Format::Pprof,
            [
                field(1, &[]),
                field(2, &[&[0x10, 1][..], &repeated(&[0x1a, 0])].concat()),
                field(6, &[]),
            ]
            .concat(),
        ),
        (
            "strings",
            Format::Pprof,
            [field(1, &[]), repeated(&[0x32, 0])].concat(),
        ),
        (
            "comments",
            Format::Pprof,
            [field(1, &[]), field(13, &repeated(&[0])), field(6, &[])].concat(),
        ),
        (
            "stacks",
            Format::Folded,
            numbered(|n| format!("{n:07} 1\n")).into_bytes(),
        ),
        ("frames", Format::Folded, text("", "a;", " 1\n")),
        ("invalid lines", Format::Folded, text("a 1\n", "\n;", "")),
        (
            "stacks",
            Format::Lines,
            numbered(|n| format!("{n:07}\n")).into_bytes(),
        ),
        (
            "nodes",
            Format::Tree,
            [vec![0, 0, 1], repeated(&[0, 1, 1])].concat(),
        ),
        (
            "nodes",
            Format::Trie,
            [vec![0, 0, 1], repeated(&[1, b';', 1, 1])].concat(),
        ),
        (
            "frames",
            Format::Speedscope,
            text(r#"{"profiles":[],"shared":{"frames":["#, "{},", "{}]}}"),
        ),
        (
            "profiles",
            Format::Speedscope,
            text(r#"{"shared":{"frames":[]},"profiles":["#, "{},", "{}]}"),
        ),
        (
            "frames of a sample",
            Format::Speedscope,
            text(
                r#"{"shared":{"frames":[{}]},"profiles":[{"type":"sampled","unit":"none","weights":[1],"samples":[["#,
                "0,",
                "0]]}]}",
            ),
        ),
        (
            "events",
            Format::Speedscope,
            text(
                r#"{"shared":{"frames":[{}]},"profiles":[{"type":"evented","unit":"none","events":["#,
                r#"{"type":"O","frame":0,"at":1},"#,
                r#"{"type":"O","frame":0,"at":1}]}]}"#,
            ),
        ),
        (
            "nodes",
            Format::CpuProfile,
            text(
                r#"{"samples":[1],"timeDeltas":[1],"nodes":["#,
                r#"{"id":1},"#,
                r#"{"id":1}]}"#,
            ),
        ),
        (
            "samples",
            Format::CpuProfile,
            text(
                r#"{"nodes":[{"id":1}],"timeDeltas":[],"samples":["#,
                "1,",
                "1]}",
            ),
        ),
        (
            "depth",
            Format::HeapProfile,
            text("", r#"{"head":{"children":["#, ""),
        ),
        (
            "children",
            Format::HeapProfile,
            text(r#"{"head":{"children":["#, "{},", "{}]}}"),
        ),
        (
            "frames",
            Format::PerfScript,
            text("a 1 1.5: 7 cycles:\n", "\tf g\n", "\n"),
        ),
        (
            "samples",
            Format::PerfScript,
            text("", "a 1 1.5: c:\n", "\n"),
        ),
    ];
    for (what, format, input) in inputs {
        let (result, peak) = peak_of(|| decode(&input, format, &Options::default()).is_ok());
        let factor = peak / input.len();
        println!(
            "{format}: {what}: {factor} times the size, {}",
            if result { "accepted" } else { "refused" }
        );
        assert!(
            factor <= FACTOR,
            "{format} of many {what}: {peak} bytes for {} bytes",
            input.len()
        );
    }
}
