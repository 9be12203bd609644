//! The distinct label sets of the series that a query selects.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::types;
use std::collections::BTreeSet;

/// Maximum number of label sets of a response.
const SETS: usize = 20_000;

/// Names and values, sorted by name.
pub type LabelSets = BTreeSet<Vec<(String, String)>>;

struct Gather {
    /// The labels to list; empty for all.
    names: Vec<String>,
    found: LabelSets,
    is_cut: bool,
}

impl Visitor for Gather {
    const DEPTH: Depth = Depth::Series;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let rows = view.series.rows.iter().zip(view.wanted);
        for (series, _) in rows.filter(|(_, wanted)| **wanted) {
            let source = &view.series.sources[series.source as usize];
            let names: BTreeSet<&str> = if self.names.is_empty() {
                let pushed = series.label_names(source);
                pushed.chain(types::LABELS.iter().copied()).collect()
            } else {
                self.names.iter().map(String::as_str).collect()
            };
            let pairs = names.into_iter().filter_map(|name| {
                let value = series.label(name, source);
                (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
            });
            let set: Vec<(String, String)> = pairs.collect();
            if !set.is_empty() {
                self.found.insert(set);
            }
        }
        // Bounds the memory for very many series.
        while self.found.len() > SETS {
            self.found.pop_last();
            self.is_cut = true;
        }
        Ok(())
    }
}

/// The distinct sets of these labels; of all labels, those of the type included, without names. Like lists of names, they
/// cover whole segments and blocks.
pub async fn label_sets(
    query: &Query,
    ask: &Ask,
    names: Vec<String>,
) -> Result<(LabelSets, Report)> {
    let gather = Gather {
        names,
        found: LabelSets::new(),
        is_cut: false,
    };
    let (gather, mut report) = query.scan(ask, gather).await?;
    if gather.is_cut {
        report.partial.push(format!(
            "only the first {SETS} label sets are listed; narrow the selector"
        ));
    }
    Ok((gather.found, report))
}
