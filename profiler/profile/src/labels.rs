//! Deduplicated label sets of samples.

use crate::StringId;
use rustc_hash::FxHashMap;

/// Index of a label set in its [`LabelSets`]; 0 is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSetId(pub u32);

/// The value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelValue {
    /// A text.
    Text(StringId),
    /// A number and its unit; if the unit is "", pprof infers it from the key.
    Number(i64, StringId),
}

/// A label: a key and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The key.
    pub key: StringId,
    /// The value.
    pub value: LabelValue,
}

/// The distinct label sets of a profile's samples, in the order of their first use.
///
/// Labels keep their order and may repeat a key, as pprof allows.
#[derive(Clone, Debug)]
pub struct LabelSets {
    labels: Vec<Label>,
    ends: Vec<u32>,
    index: FxHashMap<Box<[Label]>, u32>,
}

impl Default for LabelSets {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            ends: vec![0],
            index: FxHashMap::default(),
        }
    }
}

impl LabelSets {
    /// Returns a table that contains the empty set only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the id of a set, and adds the set if it is new.
    pub fn intern(&mut self, labels: &[Label]) -> LabelSetId {
        if labels.is_empty() {
            return LabelSetId(0);
        }
        if let Some(&found) = self.index.get(labels) {
            return LabelSetId(found);
        }
        let id = self.ends.len() as u32;
        self.labels.extend_from_slice(labels);
        self.ends.push(self.labels.len() as u32);
        self.index.insert(labels.into(), id);
        LabelSetId(id)
    }

    /// The labels of a set of this table.
    pub fn get(&self, id: LabelSetId) -> &[Label] {
        let i = id.0 as usize;
        if i == 0 {
            &[]
        } else {
            &self.labels[self.ends[i - 1] as usize..self.ends[i] as usize]
        }
    }

    /// Number of sets, including the empty one.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the empty set is always present"
    )]
    pub fn len(&self) -> usize {
        self.ends.len()
    }
}
