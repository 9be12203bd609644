//! Aggregates samples by stack.

use crate::maps::CodeLocation;
use davy_profile::Profile;
use rustc_hash::FxHashMap;

/// Distinct stacks; samples of further ones are counted as `(overflow)`.
const STACKS_MAX: usize = 200_000;

/// The stack of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    /// Leaf first; `None` for an address that was not resolved.
    pub(crate) locations: Vec<Option<CodeLocation>>,
    /// Whether the leaf called the kernel.
    pub(crate) in_kernel: bool,
    /// Whether the root is missing.
    pub(crate) is_cut: bool,
}

/// Totals of a stack.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    nanos: u64,
    samples: u64,
}

/// The stacks of a recording.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    by_stack: FxHashMap<Stack, Sum>,
    overflow: Sum,
    samples: u64,
}

impl Stacks {
    pub(crate) fn add(&mut self, stack: Stack, nanos: u64) {
        let is_full = self.by_stack.len() >= STACKS_MAX;
        let sum = if is_full && !self.by_stack.contains_key(&stack) {
            &mut self.overflow
        } else {
            self.by_stack.entry(stack).or_default()
        };
        sum.nanos += nanos;
        sum.samples += 1;
        self.samples += 1;
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// The locations of all stacks, with repetitions.
    pub(crate) fn locations(&self) -> impl Iterator<Item = CodeLocation> + '_ {
        let stacks = self.by_stack.keys();
        stacks.flat_map(|stack| stack.locations.iter().flatten().copied())
    }

    /// Adds the stacks to a profile. `indices` contains the profile's location of each code location.
    pub(crate) fn write(&self, profile: &mut Profile, indices: &FxHashMap<CodeLocation, u32>) {
        let unknown = profile.named_location("[unknown]");
        let labels = profile.text_labels(&[]);
        for (stack, sum) in &self.by_stack {
            let mut frames = Vec::with_capacity(stack.locations.len() + 2);
            if stack.is_cut {
                frames.push(profile.named_location("(stack truncated)"));
            }
            frames.extend(stack.locations.iter().rev().map(|location| {
                let index = location.as_ref().and_then(|location| indices.get(location));
                index.copied().unwrap_or(unknown)
            }));
            if stack.in_kernel {
                frames.push(profile.named_location("[kernel]"));
            }
            let node = profile.stack(frames);
            profile.add_sample(node, labels, &[sum.samples as i64, sum.nanos as i64]);
        }
        if self.overflow.samples > 0 {
            let overflow = profile.named_location("(overflow)");
            let node = profile.stack([overflow]);
            let Sum { nanos, samples } = self.overflow;
            profile.add_sample(node, labels, &[samples as i64, nanos as i64]);
        }
    }
}
