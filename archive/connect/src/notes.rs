//! What a response states besides its message, in headers.

use axum::http::HeaderValue;
use axum::response::Response;
use davy_archive::query::{Ask, Report};

/// The header that lists what could not be read.
const PARTIAL: &str = "davy-partial";
/// The header that states the range that was counted, if it is not the one that was asked for.
const EFFECTIVE: &str = "davy-effective-range";
/// The header that states how values were added up over time.
const AGGREGATION: &str = "davy-aggregation";

/// What a response states besides its message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    partial: Vec<String>,
    effective: Vec<String>,
    aggregation: &'static str,
}

impl Notes {
    /// Adds what a scan reports.
    pub(crate) fn add(&mut self, ask: &Ask, report: &Report) {
        self.partial.extend(report.partial.iter().cloned());
        self.effective.extend(report.widened(ask));
    }

    /// How values were added up.
    pub(crate) fn aggregated(&mut self, aggregation: &'static str) {
        self.aggregation = aggregation;
    }

    /// Adds the headers of a response.
    pub(crate) fn set_headers(&self, response: &mut Response) {
        let mut partial = self.partial.clone();
        partial.dedup();
        set(response, PARTIAL, &partial.join("; "));
        set(response, EFFECTIVE, &self.effective.join("; "));
        set(response, AGGREGATION, self.aggregation);
    }
}

fn set(response: &mut Response, name: &'static str, text: &str) {
    let letter = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let text: String = text.chars().map(letter).take(1_000).collect();
    if !text.is_empty()
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        response.headers_mut().insert(name, value);
    }
}
