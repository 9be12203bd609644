#![doc = include_str!("../README.md")]

mod invariants;
pub mod memory;
pub mod mutation;
mod seeds;
pub mod targets;

use targets::{archive, codecs, formats};

/// A decoder, and the inputs from which its fuzzing starts.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of the target in `make fuzz` and of its folders.
    pub name: &'static str,
    /// Decodes an input and returns whether it was accepted. Panics if an invariant does not hold.
    pub run: fn(&[u8]) -> bool,
    /// Inputs, most of them valid.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Memory that an input may take, in bytes, besides a multiple of its length.
const MEMORY_BYTES: usize = 32 << 20;
/// Bytes of memory per byte of input.
const MEMORY_FACTOR: usize = 64;

/// Every target.
pub const TARGETS: &[Target] = &[
    target("pprof", codecs::pprof, seeds::pprof),
    target("folded", formats::folded, seeds::folded),
    target("lines", formats::lines, seeds::lines),
    target("tree", formats::tree, seeds::tree),
    target("trie", formats::trie, seeds::trie),
    target("speedscope", formats::speedscope, seeds::speedscope),
    target("jfr", formats::jfr, seeds::jfr),
    target("jfr_labels", formats::jfr_labels, seeds::jfr_labels),
    target("perf_script", formats::perf_script, seeds::perf_script),
    target("cpuprofile", formats::cpuprofile, seeds::cpuprofile),
    target("heapprofile", formats::heapprofile, seeds::heapprofile),
    target("detect", formats::detect, seeds::detect),
    target("gzip", codecs::gzip, seeds::gzip),
    target("selector", archive::selector, seeds::selector),
    target("segment", archive::segment, seeds::segment),
    target("body", archive::body, seeds::body),
    target("push", archive::push, seeds::push),
    target("ingest", archive::ingest, seeds::ingest),
    target("query", archive::query, seeds::query),
];

const fn target(name: &'static str, run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

impl Target {
    /// The target with a name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }

    /// Runs the target as [`check`] does.
    pub fn check(&self, input: &[u8]) -> bool {
        check(self.name, self.run, input)
    }
}

/// Runs a target, and checks the memory that it took if [`memory::Counting`] is the allocator. Returns whether the
/// input was accepted.
pub fn check(name: &str, run: fn(&[u8]) -> bool, input: &[u8]) -> bool {
    let (accepted, peak) = memory::peak_of(|| run(input));
    let limit = MEMORY_BYTES + MEMORY_FACTOR * input.len();
    assert!(
        peak <= limit,
        "{name}: {peak} bytes of memory for an input of {} bytes; the limit is {limit}",
        input.len()
    );
    accepted
}
