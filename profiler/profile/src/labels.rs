//! Label sets of samples, each kept once.

use crate::StringId;
use rustc_hash::FxHashMap;

/// Index of a label set in its [`LabelSets`]; 0 is the set without labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSetId(pub u32);

/// What a label holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelValue {
    /// Text.
    Text(StringId),
    /// A number and its unit ("" where pprof infers it from the key).
    Number(i64, StringId),
}

/// A key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The key's number in the profile's string table.
    pub key: StringId,
    /// Its value.
    pub value: LabelValue,
}

/// The distinct label sets of a profile's samples, in the order in which they were first seen.
///
/// Labels keep the order in which they were given: pprof allows a key to come twice.
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
    /// Only the set without labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of this set, which is added if it is new.
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

    /// The labels of a set.
    pub fn get(&self, id: LabelSetId) -> &[Label] {
        let i = id.0 as usize;
        if i == 0 {
            &[]
        } else {
            &self.labels[self.ends[i - 1] as usize..self.ends[i] as usize]
        }
    }

    /// How many sets there are, the empty one included.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the set without labels is always there"
    )]
    pub fn len(&self) -> usize {
        self.ends.len()
    }
}
