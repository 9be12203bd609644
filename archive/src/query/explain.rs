//! Explains queries that select nothing, that group by an unknown label, or that would merge
//! several services unintentionally.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::{Error, Result};
use crate::labels::SERVICE;
use crate::selector::Selector;
use crate::suggest::list;
use std::collections::BTreeSet;

/// Maximum number of names of each kind that are collected.
const NAMES: usize = 10_000;

/// Services of a range, and the types and label names of those that the query can select.
struct Survey {
    selector: Selector,
    /// Label names of all services.
    all_labels: BTreeSet<String>,
    services: BTreeSet<String>,
    types: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Visitor for Survey {
    const DEPTH: Depth = Depth::Series;

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        let add = |to: &mut BTreeSet<String>, name: &str| {
            if !to.contains(name) && to.len() < NAMES {
                to.insert(name.to_owned());
            }
        };
        for series in &view.series.rows {
            let source = &view.series.sources[series.source as usize];
            add(&mut self.services, source.service());
            for name in series.label_names(source) {
                add(&mut self.all_labels, name);
            }
            if !self.selector.selects_service(source.service()) {
                continue;
            }
            add(&mut self.types, &series.kind);
            for name in series.label_names(source) {
                add(&mut self.labels, name);
            }
        }
        Ok(())
    }
}

fn names(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

/// Everything that the range of a query holds. Like `types` and `labels`, it covers whole segments
/// and blocks.
async fn survey(query: &Query, ask: &Ask) -> Result<Survey> {
    let all = Ask {
        kind: None,
        selector: Selector::default(),
        by: Vec::new(),
        ..ask.clone()
    };
    let survey = Survey {
        selector: ask.selector.clone(),
        all_labels: BTreeSet::new(),
        services: BTreeSet::new(),
        types: BTreeSet::new(),
        labels: BTreeSet::new(),
    };
    Ok(query.scan(&all, survey).await?.0)
}

/// Refuses to merge several services unless the query selects series, groups by service, or sets
/// `all_services`.
pub(super) fn one_service(ask: &Ask, report: &Report, all_services: bool) -> Result<()> {
    let unasked = ask.selector.is_empty() && !ask.by.iter().any(|by| by == SERVICE);
    if all_services || !unasked || report.services.len() < 2 {
        return Ok(());
    }
    let first = report.services.first().map_or("", String::as_str);
    Err(Error::invalid(format!(
        "the range has {} services: {}; choose one with selector={{{SERVICE}=\"{first}\"}}, or merge all with all_services=true",
        report.services.len(),
        list("", names(&report.services)),
    )))
}

/// Checks the labels of `by`, and explains why there are no samples.
pub(super) async fn explain(query: &Query, ask: &Ask, report: &Report) -> Result<Option<String>> {
    if report.windows > 0 {
        let missing: Vec<&String> = ask
            .by
            .iter()
            .filter(|by| !report.grouped.contains(*by))
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let survey = survey(query, ask).await?;
        return match missing.iter().find(|by| !survey.all_labels.contains(**by)) {
            None => Ok(None),
            Some(by) => Err(Error::invalid(format!(
                "by: no series of the range has the label {by}; labels: {}",
                list(by, names(&survey.all_labels))
            ))),
        };
    }
    // A query that reports unreadable parts needs no further explanation.
    match survey(query, ask).await {
        Ok(survey) => Ok(Some(nothing(ask, &survey))),
        Err(_) => Ok(None),
    }
}

/// Why a query has no samples.
fn nothing(ask: &Ask, survey: &Survey) -> String {
    if survey.services.is_empty() {
        return "no profiles were stored in this range".to_owned();
    }
    if !survey
        .services
        .iter()
        .any(|service| ask.selector.selects_service(service))
    {
        let asked = ask.selector.equal_to(SERVICE).unwrap_or("");
        return format!(
            "no service of this range matches the selector; services: {}",
            list(asked, names(&survey.services))
        );
    }
    let missing = ask.kind.as_ref().filter(|filter| {
        let has = |kind: &String| filter.matches(kind);
        !survey.types.iter().any(has)
    });
    if let Some(filter) = missing {
        let id = filter.id();
        return format!(
            "no profiles of type {id} in this range; types: {}",
            list(&id, names(&survey.types))
        );
    }
    if let Some(label) = ask
        .selector
        .labels()
        .find(|label| !survey.labels.contains(*label))
    {
        return format!(
            "no series of this range has the label {label}; labels: {}",
            list(label, names(&survey.labels))
        );
    }
    "no series of this range matches both the selector and the type".to_owned()
}
