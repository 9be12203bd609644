//! The unwind tables of all modules, by address.

use super::eh_frame::Table;
use super::rule::Rule;
use crate::loader;
use crate::modules::Module;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Index {
    generation: u64,
    tables: Vec<Table>,
}

impl Index {
    /// An index of modules that are sorted by address.
    pub(super) fn new(modules: &[Module]) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed) + 1,
            tables: modules.iter().filter_map(table).collect(),
        }
    }

    /// A number that no other index of this process has.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The rule of an address, read from the tables of its module. On aarch64 every rule is complex.
    pub(super) fn rule(&self, address: u64) -> Rule {
        match self.table(address) {
            Some(table) if cfg!(target_arch = "x86_64") => table.rule(address),
            _ => Rule::COMPLEX,
        }
    }

    /// The code of the function that contains an address. On aarch64, its tables are not read.
    #[cfg(feature = "jemalloc")]
    pub(super) fn function(&self, address: u64) -> Option<std::ops::Range<u64>> {
        self.table(address)?.function(address)
    }

    fn table(&self, address: u64) -> Option<&Table> {
        let after = self
            .tables
            .partition_point(|table| table.range.start <= address);
        let table = after.checked_sub(1).and_then(|at| self.tables.get(at));
        table.filter(|table| table.range.contains(&address))
    }
}

/// The unwind tables of a module.
pub(super) fn table(module: &Module) -> Option<Table> {
    let (header, frames) = module.unwind.as_ref()?;
    Some(Table {
        range: module.range.clone(),
        header: (header.start, loader::bytes(header)),
        frames: (frames.start, loader::bytes(frames)),
    })
}
