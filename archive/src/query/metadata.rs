//! Lists profile types, label names and label values. Only series are read, so whole segments and
//! blocks are covered, including their windows outside the range.

use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::format::batch::Series;
use std::collections::BTreeSet;

/// What to list.
pub(super) enum Wanted {
    /// Profile types.
    Types,
    /// Names of labels.
    Names,
    /// Values of a label.
    Values(String),
}

/// Collects distinct names.
pub(super) struct Gather {
    pub(super) wanted: Wanted,
    pub(super) found: BTreeSet<String>,
    pub(super) limit: usize,
    pub(super) cut: bool,
}

impl Visitor for Gather {
    const DEPTH: Depth = Depth::Series;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        for (
            Series {
                source,
                kind,
                labels,
                ..
            },
            _,
        ) in view
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
        // Bounds the memory for a label with very many values.
        while self.found.len() > self.limit {
            self.found.pop_last();
            self.cut = true;
        }
        Ok(())
    }
}
