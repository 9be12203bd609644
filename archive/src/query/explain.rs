//! Explains queries that select nothing, that group by an unknown label, or that would merge
//! several services unintentionally.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::answer::set_header;
use crate::error::{Error, Result};
use crate::labels::SERVICE;
use crate::selector::Selector;
use crate::suggest::{hint, list};
use crate::types::TypeFilter;
use axum::response::Response;
use std::collections::BTreeSet;

/// The header that explains why there are no samples.
const HINT: &str = "davy-hint";
/// The header that says which name of the query does not exist in the range: `service`, `type` or `label`.
const UNKNOWN: &str = "davy-unknown";

/// Why there are no samples; empty if there are some.
#[derive(Clone, Debug, Default)]
pub(super) struct Hint {
    pub(super) text: String,
    /// What the query names and the range does not have; empty if it has all.
    unknown: &'static str,
}

impl Hint {
    fn of(text: impl Into<String>, unknown: &'static str) -> Self {
        let text = text.into();
        Self { text, unknown }
    }

    pub(super) fn set_headers(&self, response: &mut Response) {
        set_header(response, HINT, &self.text);
        set_header(response, UNKNOWN, self.unknown);
    }

    /// The hint of a query and of the base query with which it is compared.
    pub(super) fn with_base(self, base: Self) -> Self {
        let base_text = match base.text.as_str() {
            "" => String::new(),
            text => format!("base: {text}"),
        };
        let texts = [self.text, base_text].into_iter();
        let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
        let unknown = match self.unknown {
            "" => base.unknown,
            unknown => unknown,
        };
        Self::of(texts.join("; "), unknown)
    }
}

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

fn names(names: &BTreeSet<String>) -> impl Iterator<Item = &str> + Clone {
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
pub(super) async fn explain(query: &Query, ask: &Ask, report: &Report) -> Result<Hint> {
    if report.windows > 0 {
        let missing: Vec<&String> = ask
            .by
            .iter()
            .filter(|by| !report.grouped.contains(*by))
            .collect();
        if missing.is_empty() {
            return Ok(Hint::default());
        }
        let survey = survey(query, ask).await?;
        return match missing.iter().find(|by| !survey.all_labels.contains(**by)) {
            None => Ok(Hint::default()),
            Some(by) => Err(Error::invalid(format!(
                "unknown label {by:?} in by; {}",
                hint(by, names(&survey.all_labels), "labels")
            ))),
        };
    }
    // A query that reports unreadable parts needs no further explanation.
    match survey(query, ask).await {
        Ok(survey) => Ok(nothing(ask, &survey)),
        Err(_) => Ok(Hint::default()),
    }
}

/// Why a query has no samples.
fn nothing(ask: &Ask, survey: &Survey) -> Hint {
    if survey.services.is_empty() {
        return Hint::of("no profiles were stored in this range", "");
    }
    let is_selected = |service: &String| ask.selector.selects_service(service);
    if !survey.services.iter().any(is_selected) {
        let services = || names(&survey.services);
        let text = match ask.selector.equal_to(SERVICE) {
            Some(asked) => format!(
                "unknown service {asked:?} in this range; {}",
                hint(asked, services(), "services")
            ),
            None => format!(
                "no service of this range matches the selector; services: {}",
                list("", services())
            ),
        };
        return Hint::of(text, "service");
    }
    let missing = ask.kind.as_ref().filter(|filter| {
        let has = |kind: &String| filter.matches(kind);
        !survey.types.iter().any(has)
    });
    if let Some(filter) = missing {
        let id = filter.id();
        let asked = TypeFilter::short_name(&id);
        let types = survey.types.iter();
        let types: BTreeSet<&str> = types.map(|kind| TypeFilter::short_name(kind)).collect();
        let text = format!(
            "no profiles of type {asked} in this range; types: {}",
            list(asked, types)
        );
        return Hint::of(text, "type");
    }
    let mut labels = ask.selector.labels();
    if let Some(label) = labels.find(|label| !survey.labels.contains(*label)) {
        let text = format!(
            "unknown label {label:?} in this range; {}",
            hint(label, names(&survey.labels), "labels")
        );
        return Hint::of(text, "label");
    }
    if !ask.selector.only().is_all() {
        let text = "no samples of this trace, span or profile in this range; they are kept as long as windows";
        return Hint::of(text, "");
    }
    Hint::of(
        "no series of this range matches both the selector and the type",
        "",
    )
}
