//! Input and output of a decoder.

use davy_profile::{Limits, Profile, units};

/// How an input is decoded. The default takes the counts of text formats as samples.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Limits on the size of the input and of the profile.
    pub limits: Limits,
    /// What the counts of [`Folded`](crate::Format::Folded), `Lines`, `Tree`, `Trie` and a speedscope
    /// profile without a unit measure, such as `cpu`. A speedscope profile in nanoseconds or bytes uses
    /// it too if `unit` is the same.
    pub kind: &'a str,
    /// Unit of the scaled counts, such as `nanoseconds`.
    pub unit: &'a str,
    /// Units per count, at least 1: 10,000,000 if a count is a sample every 10 ms and the unit is
    /// nanoseconds. Fractional counts are multiplied before they are rounded.
    pub scale: i64,
    /// Whether the header `# mode: wall` of Austin overrides `kind`, `unit` and `scale`.
    pub headers: bool,
    /// The part `labels` of a JFR upload, decompressed or not: the labels of each context. Empty if
    /// there is none.
    pub labels: &'a [u8],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            kind: "samples",
            unit: "count",
            scale: 1,
            headers: true,
            labels: &[],
        }
    }
}

/// The profiles of an input.
#[derive(Clone, Debug)]
pub struct Import {
    /// At least one profile. A JFR recording has one for each kind of event.
    pub profiles: Vec<Named>,
    /// What was ignored.
    pub skipped: Skipped,
}

/// A profile with its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// First part of the profile type: `process_cpu`, `wall`, `memory`, `mutex`, `block`; empty if the
    /// input does not state it, so the caller decides.
    pub name: String,
    /// The profile. Samples with the same stack and labels are added up.
    pub profile: Profile,
}

/// The lines, events or samples that were ignored because they are invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Their number.
    pub count: usize,
    /// The first of them: its line number, or its index for formats without lines, and the reason.
    pub first: Option<(usize, &'static str)>,
}

impl Skipped {
    /// A sentence for the sender; `None` if nothing was ignored.
    pub fn summary(&self) -> Option<String> {
        let (place, reason) = self.first?;
        let ignored = units::count(
            self.count,
            "invalid line or sample",
            "invalid lines or samples",
        );
        Some(format!(
            "skipped {ignored}; the first is number {place}: {reason}"
        ))
    }

    pub(crate) fn add(&mut self, place: usize, reason: &'static str) {
        self.count += 1;
        self.first.get_or_insert((place, reason));
    }
}
