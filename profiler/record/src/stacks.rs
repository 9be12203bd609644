//! Samples counted by their stack.

use crate::maps::Place;
use davy_profile::Profile;
use rustc_hash::FxHashMap;

/// Different stacks that are kept apart; what comes beyond is counted as `(overflow)`.
const STACKS_MAX: usize = 200_000;

/// What a sample's time was spent on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    /// The leaf first; a place that is not known is none.
    pub(crate) places: Vec<Option<Place>>,
    /// Below the leaf, the kernel.
    pub(crate) in_kernel: bool,
    /// The root is missing.
    pub(crate) is_cut: bool,
}

/// Nanoseconds and samples.
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

    /// All places, each as often as it occurs.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let stacks = self.by_stack.keys();
        stacks.flat_map(|stack| stack.places.iter().flatten().copied())
    }

    /// Into a profile that has the places as locations.
    pub(crate) fn write(&self, profile: &mut Profile, locations: &FxHashMap<Place, u32>) {
        let unknown = profile.named_location("[unknown]");
        let labels = profile.text_labels(&[]);
        for (stack, sum) in &self.by_stack {
            let mut frames = Vec::with_capacity(stack.places.len() + 2);
            if stack.is_cut {
                frames.push(profile.named_location("(stack cut)"));
            }
            frames.extend(stack.places.iter().rev().map(|place| {
                let location = place.as_ref().and_then(|place| locations.get(place));
                location.copied().unwrap_or(unknown)
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
