//! Lists profile types, label names and label values. Only series are read, so whole segments and
//! blocks are covered, including their windows outside the range.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use std::collections::BTreeSet;

/// Maximum number of names in a list.
const TEXTS: usize = 100_000;

/// The names to list.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Profile types.
    Types,
    /// Names of labels.
    Names,
    /// Values of a label.
    Values(String),
}

/// Collects distinct names.
struct Gather {
    wanted: Wanted,
    found: BTreeSet<String>,
    limit: usize,
    cut: bool,
}

/// The profile types, label names or values of a label that a query selects, sorted.
pub async fn list(query: &Query, ask: &Ask, wanted: Wanted) -> Result<(BTreeSet<String>, Report)> {
    let gather = Gather {
        wanted,
        found: BTreeSet::new(),
        limit: TEXTS,
        cut: false,
    };
    let (gather, mut report) = query.scan(ask, gather).await?;
    if gather.cut {
        report.partial.push(format!(
            "only the first {TEXTS} names are listed; narrow the selector"
        ));
    }
    Ok((gather.found, report))
}

impl Visitor for Gather {
    const DEPTH: Depth = Depth::Series;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let rows = view.series.rows.iter().zip(view.wanted);
        for (series, _) in rows.filter(|(_, wanted)| **wanted) {
            let source = &view.series.sources[series.source as usize];
            match &self.wanted {
                Wanted::Types => {
                    if !self.found.contains(&*series.kind) {
                        self.found.insert(series.kind.to_string());
                    }
                }
                Wanted::Names => {
                    for name in series.label_names(source) {
                        if !self.found.contains(name) {
                            self.found.insert(name.to_owned());
                        }
                    }
                }
                Wanted::Values(name) => {
                    let value = series.label(name, source);
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
