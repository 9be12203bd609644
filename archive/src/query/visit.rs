//! What a scan shows of one group of rows (a segment, or a row group of a block).

use super::params::Ask;
use crate::error::Result;
use crate::format::batch::WindowId;
use crate::format::columns::Group;
use crate::format::tables::{Dictionary, SeriesTable, StackTables, Values, WindowTable};
use crate::key::Hour;
use crate::rule::day::{Detail, Hours};
use davy_base::Timestamp;
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;

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
}

/// Receives the groups of a scan.
pub(super) trait Visitor: Send + 'static {
    const DEPTH: Depth;

    /// Whether it needs the values of each window.
    fn detail(&self) -> Detail {
        Detail::Sums
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()>;
}

/// Series and windows of a group, and which of them the query selects.
pub(super) struct Head {
    pub(super) series: SeriesTable,
    wanted: Vec<bool>,
    pub(super) windows: Option<WindowTable>,
    pub(super) included: Vec<bool>,
    /// Whether every window of the selected sources is included.
    pub(super) all: bool,
    /// Whether it is of a day block, whose windows are sums over an hour.
    pub(super) is_cells: bool,
    /// Labels of `by` that a selected series has.
    pub(super) grouped: BTreeSet<String>,
}

/// Reads series and windows. Returns `None` if the query selects nothing of the group. `counted`
/// are the windows that earlier groups had. Of a day block, the cells of `hours` are selected.
pub(super) fn open(
    ask: &Ask,
    series: &Group,
    windows: Option<&Group>,
    counted: [&FxHashSet<WindowId>; 2],
    hours: Option<Hours>,
) -> Result<Option<Head>> {
    let series = SeriesTable::read(series)?;
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
        if selected {
            let has = |by: &&String| !row.label(by, source).is_empty();
            let new = ask
                .by
                .iter()
                .filter(|by| !grouped.contains(*by))
                .filter(has);
            let new: Vec<String> = new.cloned().collect();
            grouped.extend(new);
        }
    }
    if !sources.contains(&true) {
        return Ok(None);
    }
    let mut head = Head {
        series,
        wanted,
        windows: None,
        included: Vec::new(),
        all: false,
        is_cells: hours.is_some(),
        grouped,
    };
    let Some(windows) = windows else {
        return Ok(Some(head));
    };
    let windows = WindowTable::read(windows, &head.series)?;
    let range = ask.from.millis()..ask.until.millis();
    let mut within = FxHashSet::default();
    head.all = true;
    for window in &windows.rows {
        let selected = sources[window.source as usize];
        let included = if let Some(hours) = hours {
            selected && hours.contains(Hour::of(Timestamp::from_millis(window.start_ms)))
        } else {
            selected
                && counted.iter().all(|known| !known.contains(&window.id))
                && within.insert(window.id)
                && range.contains(&window.start_ms)
        };
        head.all &= included || !selected;
        head.included.push(included);
    }
    head.windows = Some(windows);
    Ok(head.included.contains(&true).then_some(head))
}

/// The tables of a group that hold values and stacks, as far as a visitor needs them.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) values: Option<Group>,
    pub(super) stacks: Option<StackTables>,
}

/// Reads values and shows the group to the visitor. With `sums`, the values are those of the table of
/// sums.
pub(super) fn show<V: Visitor>(
    head: &Head,
    values: Option<&Group>,
    dictionary: Option<&Dictionary>,
    sums: bool,
    visitor: &mut V,
) -> Result<()> {
    let values = match (values, &head.windows) {
        (Some(values), _) if sums => Some(Values::sums(values, &head.series, dictionary)?),
        (Some(values), Some(windows)) => {
            Some(Values::samples(values, &head.series, windows, dictionary)?)
        }
        _ => None,
    };
    visitor.visit(&View {
        series: &head.series,
        wanted: &head.wanted,
        windows: head.windows.as_ref(),
        included: &head.included,
        dictionary,
        values: values.as_ref(),
    })
}
