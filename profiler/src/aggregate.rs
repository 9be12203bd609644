//! Samples summed by stack and tag, as addresses.

use davy_profile::{NodeId, StackTree};
use davy_tag::Tag;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

/// Nodes of one aggregate; samples whose stack would need more are dropped and counted.
const NODES_MAX: usize = 500_000;

/// Stands where frames nearer to the root were cut.
pub(crate) const CUT: u64 = u64::MAX;
/// Stands for the stack of an allocation that found the table of stacks full.
pub(crate) const TABLE_FULL: u64 = u64::MAX - 1;

/// Stands for CPU time of a tag that was counted while no sample met the tag.
pub(crate) const UNSAMPLED: u64 = u64::MAX - 2;

/// Addresses from here on are indices of an aggregate's names; user space ends far below.
pub(crate) const NAMED: u64 = 1 << 63;

/// Values of one stack under one tag; a CPU profile uses only the first.
pub(crate) type Values = [i64; 4];

/// Whose samples to keep; an empty filter keeps all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this member.
    pub member: Option<String>,
    /// Only this operation.
    pub op: Option<String>,
}

impl Filter {
    /// Whether samples of this tag are kept.
    pub fn keeps(&self, tag: Tag) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|w| w == name);
        is(&self.member, tag.member()) && is(&self.op, tag.op())
    }
}

/// A profile in the making.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    pub(crate) stacks: StackTree,
    /// The addresses that items of the stack tree are indices of.
    pub(crate) addresses: Vec<u64>,
    /// What addresses from [`NAMED`] on are called.
    pub(crate) names: Vec<String>,
    name_index: FxHashMap<String, u64>,
    index: FxHashMap<u64, u32>,
    /// The node of a whole stack by its hash: hot stacks come again and again, and comparing one is
    /// twenty times cheaper than finding its way down the tree.
    whole: FxHashMap<u64, NodeId>,
    pub(crate) samples: FxHashMap<(NodeId, Tag), Values>,
    /// What did not fit, in the first value's unit.
    pub(crate) lost: i64,
}

impl Aggregate {
    /// Adds values to the stack that is given from its leaf to its root.
    pub(crate) fn add(&mut self, leaf_to_root: &[u64], is_cut: bool, tag: Tag, values: Values) {
        let Some(node) = self.node(leaf_to_root, is_cut) else {
            self.lost += values[0];
            return;
        };
        let sums = self.samples.entry((node, tag)).or_default();
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// An address for something that has only a name.
    pub(crate) fn named(&mut self, name: &str) -> u64 {
        if let Some(known) = self.name_index.get(name) {
            return *known;
        }
        let address = NAMED + self.names.len() as u64;
        self.names.push(name.to_owned());
        self.name_index.insert(name.to_owned(), address);
        address
    }

    fn node(&mut self, leaf_to_root: &[u64], is_cut: bool) -> Option<NodeId> {
        let cut = is_cut.then_some(&CUT);
        let hash = FxBuildHasher.hash_one((leaf_to_root, is_cut));
        if let Some(node) = self.whole.get(&hash) {
            let known = self.stacks.leaf_to_root(*node);
            let known = known.map(|item| &self.addresses[item as usize]);
            if known.eq(leaf_to_root.iter().chain(cut)) {
                return Some(*node);
            }
        }
        if self.stacks.len() + leaf_to_root.len() + 1 > NODES_MAX {
            return None;
        }
        let mut node = NodeId::ROOT;
        for address in cut.into_iter().chain(leaf_to_root.iter().rev()) {
            let (addresses, next) = (&mut self.addresses, self.index.len() as u32);
            let item = *self.index.entry(*address).or_insert_with(|| {
                addresses.push(*address);
                next
            });
            node = self.stacks.child(node, item);
        }
        self.whole.insert(hash, node);
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stacks_add_up_by_tag() {
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
    fn a_filter_keeps_its_member_and_op() {
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
