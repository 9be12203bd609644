//! Distinct mappings.

use crate::Mapping;
use rustc_hash::FxHashMap;
use std::ops::Deref;

/// Distinct mappings, numbered from 1; 0 means that the mapping is unknown.
#[derive(Clone, Debug, Default)]
pub struct MappingTable {
    mappings: Vec<Mapping>,
    index: FxHashMap<Mapping, u32>,
}

impl MappingTable {
    /// Returns the number of a mapping, which is added if it is new.
    ///
    /// Mappings of the same part of the same file are one mapping, wherever it was loaded; the lowest start
    /// is kept.
    pub fn number(&mut self, mapping: Mapping) -> u32 {
        let next = self.mappings.len() as u32 + 1;
        let number = *self.index.entry(mapping.identity()).or_insert(next);
        if number == next {
            self.mappings.push(mapping);
        } else {
            self.mappings[number as usize - 1].absorb(&mapping);
        }
        number
    }

    /// The mapping with a number; `None` for 0.
    pub fn get(&self, number: u32) -> Option<&Mapping> {
        number.checked_sub(1).map(|at| &self.mappings[at as usize])
    }
}

impl Deref for MappingTable {
    type Target = [Mapping];

    fn deref(&self) -> &[Mapping] {
        &self.mappings
    }
}
