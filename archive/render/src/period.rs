//! Renders an hour or a day: every service, type and member, and at last the page that lists them.

use crate::draw::{Drawer, packed_log};
use crate::due::{Due, Shown};
use crate::error::{Result, blocking};
use crate::html::percent_encoded;
use crate::keys::{FLAMEGRAPHS, level};
use crate::names::{Target, artefact_name, type_filter, type_name};
use crate::page::{self, Files, PeriodPage, Row, link, period_title, time};
use crate::renderer::{Rendered, Renderer};
use crate::site::Site;
use crate::span::Span;
use crate::stacks::{Ranked, Stacks};
use bytes::Bytes;
use davy_archive::key::Tenant;
use davy_archive::query::{Ask, ServiceSurvey, flame, survey};
use davy_archive::selector::Selector;
use davy_archive::types::TypeId;
use davy_base::Timestamp;
use davy_profile::flame::Grain;
use davy_profile::{gzip, units};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SVG: (&str, Option<&str>) = ("image/svg+xml", Some("gzip"));
const LOG: (&str, Option<&str>) = ("text/plain; charset=utf-8", Some("gzip"));
/// The label of members.
const MEMBER: &str = "member";
/// The label of operations.
const OPERATION: &str = "op";
/// Maximum length of a name in a title, in characters.
const TITLE: usize = 60;
/// Maximum number of sentences about what could not be read.
const SENTENCES: usize = 5;

/// A period that is rendered.
struct Work<'a> {
    renderer: &'a Renderer,
    site: &'a Site<'a>,
    tenant: &'a Tenant,
    period: Span,
    shown: &'a Shown,
    /// Links of the page of the period before, which say what a focus matched.
    before: BTreeSet<String>,
    rows: Vec<Row>,
    partial: BTreeSet<String>,
    services: BTreeMap<String, Vec<String>>,
    objects: u64,
    bytes: u64,
}

impl Rendered {
    pub(crate) fn nothing(tenant: &Tenant, period: Span, due: Due, shown: &Shown) -> Self {
        Self {
            tenant: tenant.key().to_owned(),
            period: period.to_string(),
            due,
            objects: 0,
            bytes: 0,
            error: None,
            shown: shown.clone(),
        }
    }
}

impl Renderer {
    /// Renders a period.
    pub(crate) async fn period(
        &self,
        site: &Site<'_>,
        tenant: &Tenant,
        period: Span,
        shown: &Shown,
        due: Due,
    ) -> Rendered {
        let clock = &self.options.clock;
        let start = clock.monotonic();
        let mut work = Work {
            renderer: self,
            site,
            tenant,
            period,
            shown,
            before: BTreeSet::new(),
            rows: Vec::new(),
            partial: BTreeSet::new(),
            services: BTreeMap::new(),
            objects: 0,
            bytes: 0,
        };
        let result = Box::pin(work.run()).await;
        let level = level(period);
        let outcome = if result.is_ok() { "done" } else { "failed" };
        let metrics = &self.metrics;
        metrics.periods.with_label_values(&[level, outcome]).inc();
        let taken = clock.monotonic().saturating_sub(start);
        let duration = metrics.duration.with_label_values(&[level]);
        duration.observe(taken.as_secs_f64());
        if result.is_ok() {
            let newest = metrics.newest.with_label_values(&[level]);
            newest.set(newest.get().max(period.end().seconds()));
        }
        Rendered {
            objects: work.objects,
            bytes: work.bytes,
            error: result.err().map(|error| error.to_string()),
            ..Rendered::nothing(tenant, period, due, shown)
        }
    }
}

/// A text that fits in a title.
fn brief(text: &str) -> String {
    match text.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl Work<'_> {
    fn range(&self) -> (Timestamp, Timestamp) {
        (self.period.start(), self.period.end())
    }

    fn ask(&self) -> Ask {
        let (from, until) = self.range();
        Ask {
            tenant: self.tenant.clone(),
            kind: None,
            selector: Selector::default(),
            from,
            until,
            by: Vec::new(),
        }
    }

    async fn run(&mut self) -> Result<()> {
        let page = self.site.keys.page(self.period);
        let old = self.site.read(&page).await?.unwrap_or_default();
        let before = self.period.before();
        if !self.renderer.options.focus.is_empty() {
            let html = self.site.read(&self.site.keys.page(before)).await?;
            let html = html.unwrap_or_default();
            self.before = page::links(&html).map(str::to_owned).collect();
        }
        let (services, report) = survey(&self.renderer.query, &self.ask()).await?;
        self.partial.extend(report.partial);
        for (service, of) in &services {
            self.service(service, of, before).await?;
        }
        let partial: Vec<String> = self.partial.iter().take(SENTENCES).cloned().collect();
        let html = PeriodPage {
            period: self.period,
            shown: self.shown,
            partial: &partial,
            services: &self.services,
            rows: &self.rows,
        }
        .html();
        let linked: BTreeSet<&str> = page::links(&html).collect();
        let stale: Vec<_> = page::links(&old)
            .filter(|link| !linked.contains(link))
            .filter_map(|link| self.site.keys.linked(link))
            .collect();
        self.count("page", html.len());
        self.site.write(&page, html).await?;
        // What nothing leads to any more. If the process is killed here, it stays.
        self.site.bucket.delete_many(&stale).await?;
        Ok(())
    }

    fn count(&mut self, kind: &str, bytes: usize) {
        self.objects += 1;
        self.bytes += bytes as u64;
        let metrics = &self.renderer.metrics;
        metrics.objects.with_label_values(&[kind]).inc();
        metrics
            .bytes
            .with_label_values(&[kind])
            .inc_by(bytes as u64);
    }

    async fn service(&mut self, service: &str, of: &ServiceSurvey, before: Span) -> Result<()> {
        let (from, until) = self.range();
        let span = until.since(from).as_millis().max(1) as f64;
        let share = 100.0 * of.covered_ms as f64 / span;
        let windows = units::count(of.windows as usize, "window", "windows");
        let coverage = format!(
            "{windows}, which cover {share:.1} % of the {}",
            match self.period {
                Span::Hour(_) => "hour",
                Span::Day(_) => "day",
            }
        );
        self.services
            .insert(service.to_owned(), vec![format!("{coverage}.")]);
        // Types with one short name are one.
        let types: BTreeMap<String, &String> =
            of.types.iter().map(|id| (type_name(id), id)).collect();
        for kind in types.into_values() {
            self.kind(service, kind, &coverage, before).await?;
        }
        Ok(())
    }

    /// The merged tree of a service and type, by a label.
    async fn merged(
        &mut self,
        service: &str,
        kind: &str,
        by: &str,
    ) -> Result<(Arc<Ranked>, &'static str)> {
        let ask = Ask {
            kind: Some(type_filter(kind)),
            selector: Selector::of_service(service),
            by: vec![by.to_owned()],
            ..self.ask()
        };
        let (merged, report) = flame(&self.renderer.query, &ask, Grain::Function).await?;
        self.partial.extend(report.partial);
        let aggregation = merged.aggregation.name();
        let ranked = blocking("sort a tree", move || Ranked::new(merged.tree)).await?;
        Ok((Arc::new(ranked), aggregation))
    }

    async fn kind(
        &mut self,
        service: &str,
        kind: &str,
        coverage: &str,
        before: Span,
    ) -> Result<()> {
        let (ranked, aggregation) = self.merged(service, kind, MEMBER).await?;
        let of = Described {
            service,
            kind,
            aggregation,
            coverage,
        };
        let tree = Arc::clone(&ranked);
        let all = blocking("merge members", move || tree.all()).await?;
        if all.total() == 0 {
            return Ok(());
        }
        let all = Arc::new(all);
        self.put(&of, Target::All, &all, true).await?;
        self.focus(&of, &all, before).await?;
        drop(all);
        self.groups(&of, &ranked, MEMBER, Target::Member).await?;
        drop(ranked);
        if self.renderer.options.has_operations {
            let (ranked, _) = self.merged(service, kind, OPERATION).await?;
            self.groups(&of, &ranked, OPERATION, Target::Operation)
                .await?;
        }
        Ok(())
    }

    /// Renders the largest groups.
    async fn groups(
        &mut self,
        of: &Described<'_>,
        ranked: &Arc<Ranked>,
        by: &'static str,
        target: fn(String) -> Target,
    ) -> Result<()> {
        let groups = ranked.groups(by).into_iter();
        let mut groups: Vec<(u64, String, usize)> = groups
            .map(|(name, node)| (ranked.total(node), name, node))
            .filter(|(total, ..)| *total > 0)
            .collect();
        groups.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let limit = self.renderer.options.members;
        if groups.len() > limit {
            let left_out = groups.len() - limit;
            let sentence = format!(
                "{}: the {left_out} smallest values of the label {by} have no graphs of their own; they are in that of all members.",
                type_name(of.kind)
            );
            self.services
                .entry(of.service.to_owned())
                .or_default()
                .push(sentence);
            groups.truncate(limit);
        }
        for (_, name, node) in groups {
            let tree = Arc::clone(ranked);
            let stacks = blocking("merge a group", move || tree.merged(&[node])).await?;
            self.put(of, target(name), &Arc::new(stacks), true).await?;
        }
        Ok(())
    }

    /// Renders the focus graphs, and reports those that used to match.
    async fn focus(&mut self, of: &Described<'_>, all: &Arc<Stacks>, before: Span) -> Result<()> {
        for focus in self.renderer.options.focus.clone() {
            let (stacks, name) = (Arc::clone(all), focus.name().to_owned());
            let focused = blocking("select stacks", move || focus.of(&stacks)).await?;
            let target = Target::Focus(name.clone());
            if let Some(stacks) = focused {
                self.put(of, target, &Arc::new(stacks), false).await?;
                continue;
            }
            let file = artefact_name(before, of.kind, of.service, &target);
            let link = link(before, &(FLAMEGRAPHS, format!("{file}.svgz")));
            if self.before.contains(&link) {
                let lost = &self.renderer.metrics.focus_lost;
                lost.with_label_values(&[&name]).inc();
                tracing::warn!(
                    tenant = self.tenant.key(),
                    service = of.service,
                    r#type = type_name(of.kind),
                    focus = name,
                    period = %self.period,
                    "focus matches nothing any more"
                );
                self.services
                    .entry(of.service.to_owned())
                    .or_default()
                    .push(format!(
                        "{}: the focus {name} matches nothing any more; it did in {}.",
                        type_name(of.kind),
                        period_title(before)
                    ));
            }
        }
        Ok(())
    }

    /// Draws some stacks and writes the artefacts.
    async fn put(
        &mut self,
        of: &Described<'_>,
        target: Target,
        stacks: &Arc<Stacks>,
        has_log: bool,
    ) -> Result<()> {
        let unit = TypeId::parse(of.kind).unit;
        let total = units::format(i64::try_from(stacks.total()).unwrap_or(i64::MAX), &unit);
        let drawer = Drawer {
            title: format!(
                "{} of {}, {}, {}",
                type_name(of.kind),
                brief(of.service),
                brief(&target.title()),
                period_title(self.period)
            ),
            notes: self.notes(of, &total),
            link: self.link(of, &target),
            unit,
        };
        let row = Row {
            service: of.service.to_owned(),
            kind: of.kind.to_owned(),
            target,
            total,
            has_log,
        };
        let Files {
            graph,
            reversed,
            log,
        } = row.files(self.period);
        let drawn = {
            let (stacks, drawer) = (Arc::clone(stacks), drawer);
            blocking("draw a flame graph", move || {
                let drawn = drawer.draw(&stacks)?;
                let packed = [
                    gzip::compress(&drawn.graph),
                    gzip::compress(&drawn.reversed),
                ];
                Ok::<_, davy_archive::Error>(packed)
            })
            .await??
        };
        let [first, second] = drawn;
        let mut objects = vec![(graph, SVG, first), (reversed, SVG, second)];
        if let Some(file) = log {
            let stacks = Arc::clone(stacks);
            let packed = blocking("write a folded log", move || packed_log(&stacks)).await?;
            objects.push((file, LOG, packed));
        }
        let puts = objects.into_iter().map(|((folder, file), served, bytes)| {
            let key = self.site.keys.artefact(folder, self.period, &file);
            let bucket = self.site.bucket;
            async move {
                let size = bytes.len();
                bucket.put_served(&key, Bytes::from(bytes), served).await?;
                Ok::<_, davy_archive::Error>((folder, size))
            }
        });
        for (folder, size) in try_join_all(puts).await? {
            let kind = if folder == FLAMEGRAPHS {
                "graph"
            } else {
                "log"
            };
            self.count(kind, size);
        }
        self.rows.push(row);
        Ok(())
    }

    fn notes(&self, of: &Described<'_>, total: &str) -> Vec<String> {
        let what = match of.aggregation {
            "average" => "average",
            _ => "total",
        };
        let received = time(self.shown.received);
        let mut notes = vec![format!(
            "{what} {total}; {}; received until {received}",
            of.coverage
        )];
        let partial = self.partial.iter().take(SENTENCES);
        notes.extend(partial.map(|sentence| format!("incomplete: {sentence}")));
        notes
    }

    /// The address of the same range in Davy's page. The page has no focus.
    fn link(&self, of: &Described<'_>, target: &Target) -> Option<String> {
        let page = self.renderer.options.page_url.as_ref()?;
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let label = match target {
            Target::Member(name) => format!(",{MEMBER}=\"{}\"", quoted(name)),
            Target::Operation(name) => format!(",{OPERATION}=\"{}\"", quoted(name)),
            Target::All | Target::Focus(_) => String::new(),
        };
        let selector = format!("{{service_name=\"{}\"{label}}}", quoted(of.service));
        let (from, until) = self.range();
        Some(format!(
            "{}/?type={}&selector={}&from={}&until={}",
            page.trim_end_matches('/'),
            percent_encoded(of.kind),
            percent_encoded(&selector),
            from.millis(),
            until.millis()
        ))
    }
}

/// A service and type that is rendered.
struct Described<'a> {
    service: &'a str,
    kind: &'a str,
    /// How values were added up over time.
    aggregation: &'static str,
    /// What its windows cover.
    coverage: &'a str,
}
