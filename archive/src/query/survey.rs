//! What a range holds of each service, without its stacks.

use super::params::Ask;
use super::scan::{Query, Report};
use super::visit::{Depth, View, Visitor};
use crate::error::Result;
use crate::rule::day::Detail;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What a range holds of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSurvey {
    /// Ids of its profile types.
    pub types: BTreeSet<String>,
    /// Number of its windows.
    pub windows: u64,
    /// The time within the range that its windows cover, in milliseconds.
    pub covered_ms: i64,
}

/// Maximum number of services; further ones are left out.
const SERVICES: usize = 10_000;
/// Number of spans of a service from which on they are merged.
const SPANS: usize = 8_192;

#[derive(Default)]
struct Gathered {
    service: ServiceSurvey,
    /// Time that windows cover. A cell of a day block covers a part of its hour, and counts from its start.
    spans: Vec<Range<i64>>,
}

struct Survey {
    range: Range<i64>,
    services: BTreeMap<String, Gathered>,
    left_out: bool,
}

/// Merges spans that overlap.
fn merge(spans: &mut Vec<Range<i64>>) {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<i64>> = Vec::new();
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    *spans = merged;
}

impl Visitor for Survey {
    const DEPTH: Depth = Depth::Windows;

    fn detail(&self) -> Detail {
        Detail::Windows
    }

    fn visit(&mut self, view: &View<'_>) -> Result<()> {
        const HOUR_MS: i64 = 3_600_000;
        let Some(windows) = view.windows else {
            return Ok(());
        };
        let mut has_windows = vec![false; view.series.sources.len()];
        let included = windows.rows.iter().zip(view.included);
        for (window, _) in included.filter(|(_, is_included)| **is_included) {
            has_windows[window.source as usize] = true;
            let service = view.series.sources[window.source as usize].service();
            if !self.services.contains_key(service) {
                if self.services.len() >= SERVICES {
                    self.left_out = true;
                    continue;
                }
                self.services
                    .insert(service.to_owned(), Gathered::default());
            }
            let Some(of) = self.services.get_mut(service) else {
                continue;
            };
            of.service.windows += u64::from(window.count);
            let start = window.start_ms.max(self.range.start);
            let length = window.duration_ms.clamp(0, HOUR_MS);
            let end = (window.start_ms + length).min(self.range.end);
            if start < end {
                of.spans.push(start..end);
            }
            if of.spans.len() >= SPANS {
                merge(&mut of.spans);
            }
        }
        for (series, _) in view
            .series
            .rows
            .iter()
            .zip(view.wanted)
            .filter(|(_, of)| **of)
        {
            if !has_windows[series.source as usize] {
                continue;
            }
            let service = view.series.sources[series.source as usize].service();
            if let Some(of) = self.services.get_mut(service)
                && !of.service.types.contains(&*series.kind)
            {
                of.service.types.insert(series.kind.to_string());
            }
        }
        Ok(())
    }
}

/// The services that have windows in a range, by name.
pub async fn survey(query: &Query, ask: &Ask) -> Result<(BTreeMap<String, ServiceSurvey>, Report)> {
    let survey = Survey {
        range: ask.from.millis()..ask.until.millis(),
        services: BTreeMap::new(),
        left_out: false,
    };
    let (survey, mut report) = query.scan(ask, survey).await?;
    if survey.left_out {
        report.partial.push(format!(
            "only {SERVICES} services are considered; the others are left out"
        ));
    }
    let services = survey.services.into_iter().map(|(name, mut of)| {
        merge(&mut of.spans);
        of.service.covered_ms = of.spans.iter().map(|span| span.end - span.start).sum();
        (name, of.service)
    });
    Ok((services.collect(), report))
}
