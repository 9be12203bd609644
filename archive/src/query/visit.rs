//! The view of one group of rows (a segment, or a row group of a block) that a scan passes to its visitor.

use super::params::Ask;
use crate::error::Result;
use crate::format::batch::WindowId;
use crate::format::tables::{Dictionary, SeriesTable, SpanTable, Values, WindowTable};
use crate::key::Hour;
use crate::rule::day::{Detail, Hours};
use crate::simulation::{Mutant, is_active};
use davy_base::Timestamp;
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How much of a group a visitor needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Series.
    Series,
    /// Series and windows.
    Windows,
    /// Series, windows and the values of every window, without stacks.
    Totals,
    /// Everything; values may be sums over windows.
    Stacks,
    /// Everything, with the values of every window while they are kept.
    StacksOfWindows,
}

/// A group of rows.
pub(super) struct View<'a> {
    pub(super) series: &'a SeriesTable,
    /// Whether each series is selected.
    pub(super) wanted: &'a [bool],
    pub(super) windows: Option<&'a WindowTable>,
    /// Whether each window is in the range, selected, and not counted yet.
    pub(super) included: &'a [bool],
    pub(super) dictionary: Option<&'a Dictionary>,
    pub(super) values: Option<&'a Values>,
    /// Values by span, for a visitor that asks for them.
    pub(super) spans: Option<&'a SpanTable>,
}

/// Receives the groups of a scan.
pub(super) trait Visitor: Send + 'static {
    const DEPTH: Depth;

    /// Whether it needs the values by span; it must not ask for stacks.
    const SPANS: bool = false;

    /// Whether it needs the values of each window, hour or day.
    fn detail(&self) -> Detail {
        Detail::Days
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()>;
}

/// The series of a group that a query selects.
pub(super) struct Selected {
    pub(super) series: Arc<SeriesTable>,
    /// Whether each series is selected.
    pub(super) wanted: Vec<bool>,
    /// Whether each source has a selected series.
    sources: Vec<bool>,
    /// Labels of `by` that a selected series has.
    pub(super) grouped: BTreeSet<String>,
}

impl Selected {
    /// Selects series; `None` if the query selects none of them.
    pub(super) fn of(ask: &Ask, series: Arc<SeriesTable>) -> Option<Self> {
        let mut sources = vec![false; series.sources.len()];
        let mut grouped = BTreeSet::new();
        let mut wanted = Vec::with_capacity(series.rows.len());
        // Parsing an id takes longer than comparing it with the last one.
        let (mut last, mut is_right) = (None, false);
        for row in &series.rows {
            let source = &series.sources[row.source as usize];
            if last != Some(&row.kind) {
                let filter = ask.kind.as_ref();
                is_right = filter.is_none_or(|filter| filter.matches(&row.kind));
                last = Some(&row.kind);
            }
            let selected = is_right && ask.selector.selects(|name| row.label(name, source));
            sources[row.source as usize] |= selected;
            wanted.push(selected);
            if selected && grouped.len() < ask.by.len() {
                let has = |by: &&String| !row.label(by, source).is_empty();
                let new = ask.by.iter().filter(|by| !grouped.contains(*by));
                let new: Vec<String> = new.filter(has).cloned().collect();
                grouped.extend(new);
            }
        }
        sources.contains(&true).then_some(Self {
            series,
            wanted,
            sources,
            grouped,
        })
    }

    /// Which windows the query selects, if none of them was counted before. Of a day or month block, the cells of `hours`.
    pub(super) fn windows(
        &self,
        ask: &Ask,
        windows: &WindowTable,
        hours: Option<Hours>,
    ) -> Included {
        let range = ask.from.millis()..ask.until.millis();
        let mut included = Included {
            windows: Vec::with_capacity(windows.rows.len()),
            all: true,
        };
        for window in &windows.rows {
            let selected = self.sources[window.source as usize];
            let within = match hours {
                Some(hours) => hours.contains(Hour::of(Timestamp::from_millis(window.start_ms))),
                None => range.contains(&window.start_ms),
            };
            let within = within && ask.selector.only().selects_profile(window.id);
            included.all &= within || !selected;
            included.windows.push(selected && within);
        }
        included
    }
}

/// Which windows of a group are counted.
pub(super) struct Included {
    /// Whether each window is.
    pub(super) windows: Vec<bool>,
    /// Whether all of the selected sources are.
    pub(super) all: bool,
}

impl Included {
    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.windows.contains(&true)
    }

    /// Leaves out windows in which nothing is selected.
    pub(super) fn retain(&mut self, of_window: &[bool]) {
        for (included, has_any) in self.windows.iter_mut().zip(of_window) {
            *included &= has_any;
        }
        self.all = false;
    }

    /// Leaves out windows that were counted before, or twice in this group.
    pub(super) fn leave_out(&mut self, windows: &WindowTable, counted: [&FxHashSet<WindowId>; 2]) {
        let mut within = FxHashSet::default();
        within.reserve(windows.rows.len());
        for (window, included) in windows.rows.iter().zip(&mut self.windows) {
            if !*included {
                continue;
            }
            let is_known = counted.iter().any(|known| known.contains(&window.id))
                && !is_active(Mutant::NoWindowIds);
            if is_known || !within.insert(window.id) {
                *included = false;
                self.all = false;
            }
        }
    }
}
