//! The page of the artefacts of an hour or a day. It is written after them and says what they show, which is all that
//! renderers remember.

use crate::due::{Shown, Stated};
use crate::html::{escaped, page};
use crate::keys::{FLAMEGRAPHS, LOGS, level};
use crate::names::{Target, artefact_name, type_name};
use crate::span::Span;
use davy_base::Timestamp;
use std::collections::BTreeMap;

/// Begins the part of a page that the page of the day repeats.
const GRAPHS: &str = "<!--graphs-->\n";
/// Ends it.
const GRAPHS_END: &str = "<!--/graphs-->\n";
const SHOWS: &str = "<meta name=\"davy-shows\" content=\"";
const COMPLETE: &str = "<meta name=\"davy-complete\" content=\"true\">\n";

/// The artefacts of one target.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) service: String,
    /// Id of the profile type.
    pub(crate) kind: String,
    pub(crate) target: Target,
    /// The total, as people read it.
    pub(crate) total: String,
    pub(crate) has_log: bool,
}

/// Files of the artefacts of a row, with their folders.
pub(crate) struct Files {
    pub(crate) graph: (&'static str, String),
    pub(crate) reversed: (&'static str, String),
    pub(crate) log: Option<(&'static str, String)>,
}

impl Row {
    pub(crate) fn files(&self, period: Span) -> Files {
        let name = artefact_name(period, &self.kind, &self.service, &self.target);
        Files {
            graph: (FLAMEGRAPHS, format!("{name}.svgz")),
            reversed: (FLAMEGRAPHS, format!("{name}.reversed.svgz")),
            log: self.has_log.then(|| (LOGS, format!("{name}.log.gz"))),
        }
    }
}

/// The link from the folder of a day to a file.
pub(crate) fn link(period: Span, (folder, file): &(&'static str, String)) -> String {
    match *folder {
        LOGS => format!("../../{LOGS}/{}/{file}", level(period)),
        _ => format!("../{}/{file}", level(period)),
    }
}

/// What the page of a period says.
pub(crate) struct PeriodPage<'a> {
    pub(crate) period: Span,
    pub(crate) shown: &'a Shown,
    /// What could not be read, one sentence each.
    pub(crate) partial: &'a [String],
    /// Sentences about each service.
    pub(crate) services: &'a BTreeMap<String, Vec<String>>,
    pub(crate) rows: &'a [Row],
}

/// `2026-11-29 14:05:30 UTC`.
pub(crate) fn time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from(at);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-29` or `2026-11-29 14:00 to 15:00 UTC`.
pub(crate) fn period_title(period: Span) -> String {
    match period {
        Span::Day(day) => format!("{day} UTC"),
        Span::Hour(hour) => {
            let hh = hour.0.rem_euclid(24);
            format!("{} {hh:02}:00 to {:02}:00 UTC", hour.date(), hh + 1)
        }
    }
}

impl PeriodPage<'_> {
    /// The HTML.
    pub(crate) fn html(&self) -> String {
        let complete = if self.partial.is_empty() {
            COMPLETE
        } else {
            ""
        };
        let head = format!("{SHOWS}{}\">\n{complete}", self.shown.hash);
        let mut body = String::from(
            "<nav aria-label=\"Pages\"><a href=\"../index.html\">All days</a> | <a href=\"index.html\">This day</a></nav>\n",
        );
        body.push_str(GRAPHS);
        body.push_str(&format!(
            "<p>Windows received until {}.</p>\n",
            time(self.shown.received)
        ));
        for sentence in self.partial {
            body.push_str(&format!("<p>Incomplete: {}</p>\n", escaped(sentence)));
        }
        for (service, sentences) in self.services {
            body.push_str(&format!("<h2>{}</h2>\n", escaped(service)));
            for sentence in sentences {
                body.push_str(&format!("<p>{}</p>\n", escaped(sentence)));
            }
            self.table(service, &mut body);
        }
        body.push_str(GRAPHS_END);
        page(
            &format!("Flame graphs, {}", period_title(self.period)),
            &head,
            &body,
        )
    }

    fn table(&self, service: &str, body: &mut String) {
        let rows = self.rows.iter().filter(|row| row.service == service);
        body.push_str(
            "<table>\n<thead><tr><th scope=\"col\">Type</th><th scope=\"col\">Shows</th><th scope=\"col\">Total</th>\
             <th scope=\"col\">Flame graph</th><th scope=\"col\">Reversed</th><th scope=\"col\">Folded log</th></tr></thead>\n<tbody>\n",
        );
        for row in rows {
            let files = row.files(self.period);
            let kind = type_name(&row.kind);
            let what = format!("{kind} of {service}, {}", row.target.title());
            let cell = |file: &(&'static str, String), text: &str| {
                format!(
                    "<td><a href=\"{}\" aria-label=\"{text}: {}\">{text}</a></td>",
                    link(self.period, file),
                    escaped(&what)
                )
            };
            body.push_str(&format!(
                "<tr><th scope=\"row\" title=\"{}\">{}</th><td>{}</td><td class=\"number\">{}</td>{}{}{}</tr>\n",
                escaped(&row.kind),
                escaped(&kind),
                escaped(&row.target.title()),
                escaped(&row.total),
                cell(&files.graph, "graph"),
                cell(&files.reversed, "reversed"),
                files
                    .log
                    .as_ref()
                    .map_or_else(|| "<td></td>".to_owned(), |log| cell(log, "log")),
            ));
        }
        body.push_str("</tbody>\n</table>\n");
    }
}

/// What a page says about itself; `None` if it is not a page of a period.
pub(crate) fn stated(html: &str, written: Timestamp) -> Option<Stated> {
    let (_, rest) = html.split_once(SHOWS)?;
    Some(Stated {
        hash: rest.split_once('"')?.0.to_owned(),
        is_complete: html.contains(COMPLETE),
        written,
    })
}

/// The links of a page to artefacts.
pub(crate) fn links(html: &str) -> impl Iterator<Item = &str> {
    let hrefs = html.split("<td><a href=\"").skip(1);
    hrefs.filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// The part of the page of a day that lists graphs.
pub(crate) fn graphs(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once(GRAPHS)?;
    Some(rest.split_once(GRAPHS_END)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_archive::key::Hour;

    const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

    #[test]
    fn page_says_what_it_shows_and_odd_names_cannot_add_to_it() {
        let shown = Shown {
            hash: "ab".repeat(16),
            received: Timestamp::from_seconds(1_764_334_800),
        };
        let odd = format!("</table>{GRAPHS_END}<td><a href=\"../hourly/x\">{COMPLETE}\u{202e}\0");
        let row = |target| Row {
            service: odd.clone(),
            kind: CPU.to_owned(),
            target,
            total: "1.00 s".to_owned(),
            has_log: true,
        };
        let rows = [row(Target::All), row(Target::Member(odd.clone()))];
        let services = BTreeMap::from([(odd.clone(), vec![odd.clone()])]);
        let of = PeriodPage {
            period: Hour(498_706).into(),
            shown: &shown,
            partial: std::slice::from_ref(&odd),
            services: &services,
            rows: &rows,
        };
        let html = of.html();
        let stated = stated(&html, Timestamp::EPOCH).expect("a page");
        assert_eq!(
            (stated.hash.as_str(), stated.is_complete),
            (&*shown.hash, false)
        );
        assert_eq!(links(&html).count(), 6);
        for link in links(&html) {
            let name = link.rsplit('/').next().expect("a name");
            assert!(name.starts_with("2026-11-22_10.cpu."), "{link}");
        }
        assert!(graphs(&html).is_some_and(|part| part.contains("</table>\n")));
        assert!(!html.contains("<script") && !html.contains(['\0', '\u{202e}']));
    }
}
