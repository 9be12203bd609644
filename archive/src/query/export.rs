//! Merges the windows of a range into a pprof profile that has what the pushed profiles had: locations,
//! labels, all sample types of a family, and the facts of their headers.

use super::aggregate::{FRACTIONS, Plan, of_series, rounded};
use super::filters::Filters;
use super::flame::Merge;
use super::group::group;
use super::params::Ask;
use super::scan::{Query, Report};
use super::size::check_size;
use super::visit::{Depth, View, Visitor};
use crate::blocking::blocking;
use crate::error::Result;
use crate::format::batch::Series;
use crate::format::header::Header;
use crate::labels::Labels;
use crate::types::TypeId;
use davy_profile::flame::{Exported, Grain};
use davy_profile::{
    FlameTree, Label, LabelSetId, LabelValue, NodeId, Profile, StringId, ValueType, pprof,
};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of comments of a profile.
const COMMENTS: usize = 64;

/// Labels of samples, with the names of those that are numbers.
type SampleLabels = (Labels, Vec<String>);

/// A merged range.
pub(super) struct Export {
    tree: FlameTree,
    plan: Plan,
    by: Vec<String>,
    limit: usize,
    is_cut: bool,
    /// Sample types: position in their profiles, and id.
    types: Vec<(u32, String)>,
    labels: Vec<SampleLabels>,
    label_index: FxHashMap<SampleLabels, u32>,
    /// Values in [`FRACTIONS`], by node, labels and type.
    values: BTreeMap<(u32, u32, u32), i128>,
    header: Header,
    comments: BTreeSet<String>,
    /// Start of the first window, and the sum of all durations, in nanoseconds.
    time_nanos: i64,
    duration_nanos: i64,
}

/// Merges a range.
pub(super) async fn export(query: &Query, ask: &Ask) -> Result<(Export, Report)> {
    let visitor = Export {
        tree: FlameTree::new(),
        plan: Plan::of(query, ask).await?,
        by: ask.by.clone(),
        limit: query.options.query_nodes,
        is_cut: false,
        types: Vec::new(),
        labels: Vec::new(),
        label_index: FxHashMap::default(),
        values: BTreeMap::new(),
        header: Header::default(),
        comments: BTreeSet::new(),
        time_nanos: i64::MAX,
        duration_nanos: 0,
    };
    let (export, mut report) = query.scan(ask, visitor).await?;
    if export.is_cut {
        report.partial.push(format!(
            "stacks were shortened because there are more than {} distinct frames of stacks; narrow the selector or the range",
            export.limit
        ));
    }
    Ok((export, report))
}

/// Merges a range into a profile, of the stacks below a call path.
pub async fn merged_profile(
    query: &Query,
    ask: &Ask,
    path: Vec<String>,
) -> Result<(Profile, Report)> {
    let (export, report) = export(query, ask).await?;
    let ask = ask.clone();
    blocking("encode a profile", move || {
        let profile = export.profile(&ask, &Filters::of_path(path), &report);
        check_size(pprof::stack_bytes(&profile))?;
        Ok((profile, report))
    })
    .await?
}

impl Visitor for Export {
    const DEPTH: Depth = Depth::Stacks;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let (Some(values), Some(dictionary)) = (view.values, view.dictionary) else {
            return Ok(());
        };
        self.add_windows(view);
        let mut merge = Merge::new(dictionary, Grain::Location);
        let mut before = None;
        for (series, range) in values.runs() {
            if !view.wanted[series] {
                continue;
            }
            let series = &view.series.rows[series];
            let source = &view.series.sources[series.source as usize];
            let divisor = self.plan.divisor(source, of_series(series));
            let root = group(&mut self.tree, &self.by, view, series).0;
            let (labels, of) = (self.labels_of(series), self.type_of(series));
            merge.program(&mut self.tree, &series.header.build_id)?;
            if before != Some(root) {
                merge.begin(root);
                before = Some(root);
            }
            for row in range {
                let window = values.windows.get(row);
                if window.is_some_and(|window| !view.included[*window as usize]) {
                    continue;
                }
                let node = dictionary.place(values.nodes[row]);
                let node = if self.tree.stacks.len() < self.limit {
                    merge.node(&mut self.tree, node)?
                } else {
                    self.is_cut = true;
                    merge.known(node)
                };
                let value = i128::from(values.values[row]) * FRACTIONS / divisor;
                *self.values.entry((node.0, labels, of)).or_default() += value;
            }
        }
        Ok(())
    }
}

impl Export {
    fn add_windows(&mut self, view: &View<'_>) {
        let wanted = view.series.rows.iter().zip(view.wanted);
        for (series, _) in wanted.filter(|(_, wanted)| **wanted) {
            let header = &series.header;
            self.type_of(series);
            let first = |known: &mut String, text: &String| {
                if known.is_empty() {
                    known.clone_from(text);
                }
            };
            self.header.period = self.header.period.max(header.period);
            first(&mut self.header.default_type, &header.default_type);
            first(&mut self.header.drop_frames, &header.drop_frames);
            first(&mut self.header.keep_frames, &header.keep_frames);
            first(&mut self.header.doc_url, &header.doc_url);
            for comment in &header.comments {
                if self.comments.len() < COMMENTS {
                    self.comments.insert(comment.clone());
                }
            }
        }
        let windows = view.windows.iter().flat_map(|windows| &windows.rows);
        for (window, _) in windows
            .zip(view.included)
            .filter(|(_, included)| **included)
        {
            let (start, duration) = (window.start_ms * 1_000_000, window.duration_ms * 1_000_000);
            let or = |exact: i64, known: i64| if exact == 0 { known } else { exact };
            self.time_nanos = self.time_nanos.min(or(window.time_nanos, start));
            let duration = or(window.duration_nanos, duration);
            self.duration_nanos = self.duration_nanos.saturating_add(duration);
        }
    }

    fn type_of(&mut self, series: &Series) -> u32 {
        let known = self.types.iter().position(|(_, id)| **id == *series.kind);
        known.unwrap_or_else(|| {
            self.types
                .push((series.header.position, series.kind.to_string()));
            self.types.len() - 1
        }) as u32
    }

    fn labels_of(&mut self, series: &Series) -> u32 {
        let key = (Labels::clone(&series.labels), series.header.numbers.clone());
        if let Some(known) = self.label_index.get(&key) {
            return *known;
        }
        let index = self.labels.len() as u32;
        self.labels.push(key.clone());
        self.label_index.insert(key, index);
        index
    }

    /// The profile, with the stacks and frames that the filters show.
    pub(super) fn profile(&self, ask: &Ask, filters: &Filters, report: &Report) -> Profile {
        let shown = filters.shown(&self.tree);
        let without_hidden = filters.without_hidden(&self.tree);
        let (tree, nodes) = match &without_hidden {
            Some((tree, nodes)) => (tree, Some(nodes)),
            None => (&self.tree, None),
        };
        let Exported {
            mut profile,
            stacks,
        } = tree.export();
        let mut order: Vec<usize> = (0..self.types.len()).collect();
        order.sort_by_key(|at| &self.types[*at]);
        if order.is_empty() {
            let (sample, unit) = ask.kind_and_unit();
            profile.add_sample_type(&sample, &unit);
        }
        // The column of each type.
        let mut columns = vec![0; order.len()];
        for (column, at) in order.into_iter().enumerate() {
            columns[at] = column;
            let id = TypeId::parse(&self.types[at].1);
            profile.add_sample_type(&id.sample, &id.unit);
            profile.period_type = ValueType {
                kind: profile.strings.intern(&id.period),
                unit: profile.strings.intern(&id.period_unit),
            };
        }
        let sets: Vec<LabelSetId> = self
            .labels
            .iter()
            .map(|(labels, numbers)| label_set(&mut profile, labels, numbers))
            .collect();
        let values: Vec<(&(u32, u32, u32), &i128)> = self.values.iter().collect();
        let mut row = vec![0i64; profile.sample_types.len()];
        for same in values.chunk_by(|a, b| (a.0.0, a.0.1) == (b.0.0, b.0.1)) {
            let (node, labels, _) = *same[0].0;
            row.fill(0);
            for ((_, _, of), value) in same {
                row[columns[*of as usize]] = rounded(**value);
            }
            if shown[node as usize] && row.iter().any(|value| *value != 0) {
                let node = nodes.map_or(NodeId(node), |nodes| nodes[node as usize]);
                profile.add_sample(stacks[node.index()], sets[labels as usize], &row);
            }
        }
        let mut text = |text: &str| -> StringId { profile.strings.intern(text) };
        let notes = report
            .partial
            .iter()
            .map(|note| format!("incomplete: {note}"));
        let widened = report.widened(ask);
        let widened = widened.map(|range| format!("effective range: {range}"));
        let comments = self.comments.iter().cloned().chain(notes).chain(widened);
        let comments: Vec<StringId> = comments.map(|comment| text(&comment)).collect();
        let texts = [
            &self.header.default_type,
            &self.header.drop_frames,
            &self.header.keep_frames,
            &self.header.doc_url,
        ]
        .map(|of| text(of));
        [
            profile.default_sample_type,
            profile.drop_frames,
            profile.keep_frames,
            profile.doc_url,
        ] = texts;
        profile.comments = comments;
        profile.period = self.header.period;
        if self.time_nanos != i64::MAX {
            profile.time_nanos = self.time_nanos;
            profile.duration_nanos = self.duration_nanos;
        }
        profile
    }
}

/// The label set of a profile.
fn label_set(profile: &mut Profile, labels: &Labels, numbers: &[String]) -> LabelSetId {
    let mut set = Vec::new();
    for (name, value) in labels.iter() {
        let key = profile.strings.intern(name);
        let (digits, unit) = value.split_once(' ').unwrap_or((value, ""));
        let number = digits
            .parse()
            .ok()
            .filter(|_| numbers.iter().any(|number| number == name));
        let value = match number {
            Some(number) => LabelValue::Number(number, profile.strings.intern(unit)),
            None => LabelValue::Text(profile.strings.intern(value)),
        };
        set.push(Label { key, value });
    }
    profile.label_sets.intern(&set)
}
