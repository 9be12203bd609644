//! Which types, labels and values there are. Only series are read for it, by whole groups: what a
//! block or segment has outside the range is told too.

use super::scan::{Depth, View, Visitor};
use crate::error::Result;
use std::collections::BTreeSet;

/// What is gathered.
pub(super) enum Wanted {
    /// Profile types.
    Types,
    /// Names of labels.
    Names,
    /// Values of a label.
    Values(String),
}

/// Gathers texts.
pub(super) struct Gather {
    pub(super) wanted: Wanted,
    pub(super) found: BTreeSet<String>,
    pub(super) limit: usize,
    pub(super) cut: bool,
}

impl Visitor for Gather {
    const DEPTH: Depth = Depth::Series;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        for ((source, kind, labels), _) in view
            .series
            .rows
            .iter()
            .zip(view.wanted)
            .filter(|(_, wanted)| **wanted)
        {
            let source = &view.series.sources[*source as usize];
            match &self.wanted {
                Wanted::Types => {
                    if !self.found.contains(&**kind) {
                        self.found.insert(kind.to_string());
                    }
                }
                Wanted::Names => {
                    for (name, _) in source.iter().chain(labels.iter()) {
                        if !self.found.contains(name) {
                            self.found.insert(name.to_owned());
                        }
                    }
                }
                Wanted::Values(name) => {
                    let value = match labels.get(name) {
                        "" => source.get(name),
                        value => value,
                    };
                    if !value.is_empty() && !self.found.contains(value) {
                        self.found.insert(value.to_owned());
                    }
                }
            }
        }
        // One label with a million values must not fill the memory.
        while self.found.len() > self.limit {
            self.found.pop_last();
            self.cut = true;
        }
        Ok(())
    }
}
