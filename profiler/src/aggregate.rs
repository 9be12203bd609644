//! Samples summed by stack and tag, as addresses.

use crate::sampler::Sample;
use davy_profile::{NodeId, StackTree};
use davy_tag::{Origin, SpanIds, Tag};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

/// Maximum number of frames of a CPU sample. Of a deeper stack, the frames nearest to the leaf are kept.
pub(crate) const CPU_FRAMES_MAX: usize = 400;
/// Maximum number of frames of a heap sample: jemalloc's default (`opt.prof_bt_max`).
pub(crate) const HEAP_FRAMES_MAX: usize = 128;

/// Maximum number of nodes of one aggregate. Samples whose stack would need more are dropped and counted.
const NODES_MAX: usize = 500_000;

/// Maximum number of stacks whose tag is not known so far. davy-tag keeps as many claims; above, all of them get the
/// tag that is known now.
const PENDING_MAX: usize = 1 << 16;

/// Maximum number of stacks of spans of one aggregate. Samples of further ones stay without their span.
const SPANS_MAX: usize = 1 << 16;

/// Pseudo-address at the root of a truncated stack.
pub(crate) const TRUNCATED: u64 = u64::MAX;
/// Pseudo-address in place of the stack of an allocation that did not fit into the table of stacks.
pub(crate) const TABLE_FULL: u64 = u64::MAX - 1;

/// Addresses from here on are those of the kernel.
pub(crate) const KERNEL: u64 = 0xff << 56;

/// Addresses from here to [`KERNEL`] are indices into an aggregate's names; user space ends far below.
pub(crate) const NAMED: u64 = 1 << 63;

/// Values of one stack under one tag; a CPU profile uses only the first.
pub(crate) type Values = [i64; 4];

/// Selects samples by their tag; an empty filter keeps all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Keep only this member.
    pub member: Option<String>,
    /// Keep only this operation.
    pub op: Option<String>,
}

impl Filter {
    /// Whether samples of this tag are kept.
    pub fn keeps(&self, tag: Tag) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|w| w == name);
        is(&self.member, tag.member()) && is(&self.op, tag.op())
    }
}

/// The samples of a profile before names are looked up.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    pub(crate) stacks: StackTree,
    /// The addresses that the items of the stack tree refer to by index.
    pub(crate) addresses: Vec<u64>,
    /// Names of the addresses from [`NAMED`] on.
    pub(crate) names: Vec<String>,
    name_index: FxHashMap<String, u64>,
    index: FxHashMap<u64, u32>,
    /// Leaf node by the hash of the whole stack: hot stacks recur, and comparing one is twenty times
    /// cheaper than descending the tree.
    leaves: FxHashMap<u64, NodeId>,
    pub(crate) samples: FxHashMap<(NodeId, Tag), Values>,
    /// The parts of the first values of samples that belong to spans.
    pub(crate) spans: FxHashMap<(NodeId, Tag, SpanIds), i64>,
    /// Nanoseconds of samples of work whose tag is not known so far.
    pending: FxHashMap<(NodeId, Origin, SpanIds), i64>,
    /// Sum of the first values of samples that did not fit.
    pub(crate) lost: i64,
}

impl Aggregate {
    /// Adds values to a stack, given from its leaf to its root.
    pub(crate) fn add(
        &mut self,
        leaf_to_root: &[u64],
        is_truncated: bool,
        tag: Tag,
        values: Values,
    ) {
        let Some(node) = self.node(leaf_to_root, is_truncated) else {
            self.lost += values[0];
            return;
        };
        let sums = self.samples.entry((node, tag)).or_default();
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// Adds a CPU sample, if the filter keeps its tag or the tag is not known so far.
    pub(crate) fn add_sample(&mut self, sample: &Sample<'_>, filter: &Filter) {
        let nanos = i64::try_from(sample.nanos).unwrap_or(i64::MAX);
        let origin = Origin::from_number(sample.tag);
        if let Some(tag) = origin.tag() {
            if !filter.keeps(tag) {
                return;
            }
            match self.node(sample.frames, sample.is_truncated) {
                Some(node) => self.add_nanos(node, tag, sample.span, nanos),
                None => self.lost += nanos,
            }
        } else if let Some(node) = self.node(sample.frames, sample.is_truncated) {
            if self.pending.len() >= PENDING_MAX {
                self.settle(filter);
            }
            let key = (node, origin, sample.span);
            *self.pending.entry(key).or_default() += nanos;
        } else {
            self.lost += nanos;
        }
    }

    /// Gives CPU samples whose tag was not known the tag that is known now, or the default of their thread.
    pub(crate) fn settle(&mut self, filter: &Filter) {
        for ((node, origin, span), nanos) in std::mem::take(&mut self.pending) {
            let tag = origin.tag_or_default();
            if filter.keeps(tag) {
                self.add_nanos(node, tag, span, nanos);
            }
        }
    }

    fn add_nanos(&mut self, node: NodeId, tag: Tag, span: SpanIds, nanos: i64) {
        self.samples.entry((node, tag)).or_default()[0] += nanos;
        if span == SpanIds::default() {
            return;
        }
        let key = (node, tag, span);
        if self.spans.len() < SPANS_MAX || self.spans.contains_key(&key) {
            *self.spans.entry(key).or_default() += nanos;
        }
    }

    /// A pseudo-address that stands for a name.
    pub(crate) fn named(&mut self, name: &str) -> u64 {
        if let Some(known) = self.name_index.get(name) {
            return *known;
        }
        let address = NAMED + self.names.len() as u64;
        self.names.push(name.to_owned());
        self.name_index.insert(name.to_owned(), address);
        address
    }

    fn node(&mut self, leaf_to_root: &[u64], is_truncated: bool) -> Option<NodeId> {
        let marker = is_truncated.then_some(&TRUNCATED);
        let hash = FxBuildHasher.hash_one((leaf_to_root, is_truncated));
        if let Some(node) = self.leaves.get(&hash) {
            let known = self.stacks.leaf_to_root(*node);
            let known = known.map(|item| &self.addresses[item as usize]);
            if known.eq(leaf_to_root.iter().chain(marker)) {
                return Some(*node);
            }
        }
        if self.stacks.len() + leaf_to_root.len() + 1 > NODES_MAX {
            return None;
        }
        let mut node = NodeId::ROOT;
        for address in marker.into_iter().chain(leaf_to_root.iter().rev()) {
            let (addresses, next) = (&mut self.addresses, self.index.len() as u32);
            let item = *self.index.entry(*address).or_insert_with(|| {
                addresses.push(*address);
                next
            });
            node = self.stacks.child(node, item);
        }
        self.leaves.insert(hash, node);
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_equal_stacks_are_summed_by_tag() {
        let (a, b) = (Tag::new("aggregate", "a"), Tag::new("aggregate", "b"));
        let mut aggregate = Aggregate::default();
        aggregate.add(&[3, 2, 1], false, a, [10, 0, 0, 0]);
        aggregate.add(&[3, 2, 1], false, a, [5, 1, 0, 0]);
        aggregate.add(&[3, 2, 1], false, b, [1, 0, 0, 0]);
        aggregate.add(&[3, 2, 1], true, b, [1, 0, 0, 0]);
        assert_eq!(aggregate.samples.len(), 3);
        assert_eq!(aggregate.addresses.len(), 4);
        assert!(
            aggregate
                .samples
                .values()
                .any(|values| *values == [15, 1, 0, 0])
        );
    }

    #[test]
    fn samples_of_unknown_tag_are_bounded_and_keep_their_time() {
        let mut aggregate = Aggregate::default();
        let count = 3 * PENDING_MAX as u32;
        for number in 0..count {
            let sample = Sample {
                nanos: 1,
                // A ticket that was not issued.
                tag: number | 1 << 31,
                span: SpanIds::default(),
                is_truncated: false,
                frames: &[2, 1],
            };
            aggregate.add_sample(&sample, &Filter::default());
            assert!(aggregate.pending.len() <= PENDING_MAX);
        }
        aggregate.settle(&Filter::default());
        let sum: i64 = aggregate.samples.values().map(|values| values[0]).sum();
        assert_eq!(sum, i64::from(count));
    }

    #[test]
    fn samples_of_spans_are_parts_of_those_of_their_tag_and_bounded() {
        let tag = Tag::new("aggregate", "spans");
        let mut aggregate = Aggregate::default();
        let count = SPANS_MAX as u64 + 100;
        for span in 0..count {
            let sample = Sample {
                nanos: 3,
                tag: tag.index(),
                span: SpanIds { trace: 0, span },
                is_truncated: false,
                frames: &[2, 1],
            };
            aggregate.add_sample(&sample, &Filter::default());
        }
        let values: Vec<_> = aggregate.samples.values().collect();
        assert_eq!(values, [&[3 * count as i64, 0, 0, 0]]);
        assert_eq!(aggregate.spans.len(), SPANS_MAX);
        assert!(aggregate.spans.values().all(|nanos| *nanos == 3));
    }

    #[test]
    fn filter_keeps_samples_of_its_member_and_operation() {
        let tag = Tag::new("filter", "op");
        let some = |text: &str| Some(text.to_owned());
        let check = |member, op, expected| {
            assert_eq!(Filter { member, op }.keeps(tag), expected);
        };
        check(None, None, true);
        check(some("filter"), None, true);
        check(some("filter"), some("other"), false);
        check(None, some("op"), true);
        assert!(
            !Filter {
                member: some("filter"),
                op: None
            }
            .keeps(Tag::UNTAGGED)
        );
    }
}
