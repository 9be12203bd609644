//! Keys of artefacts and pages in the bucket.

use crate::span::Span;
use davy_archive::bucket::Bucket;
use davy_archive::key::{Day, Hour, Tenant};
use object_store::path::Path;

/// The folder of graphs and pages.
pub(crate) const FLAMEGRAPHS: &str = "flamegraphs";
/// The folder of folded logs.
pub(crate) const LOGS: &str = "logs";
/// The page that a web server shows for a folder.
pub(crate) const INDEX: &str = "index.html";
/// The page of the graphs of a day.
const DAY_PAGE: &str = "day.html";

/// The keys of a tenant.
#[derive(Clone, Debug)]
pub(crate) struct SiteKeys {
    tenant: Path,
    graphs: Path,
}

/// The folder of a level.
pub(crate) fn level(period: Span) -> &'static str {
    match period {
        Span::Hour(_) => "hourly",
        Span::Day(_) => "daily",
    }
}

/// The name of the page of a period, in the folder of its day.
pub(crate) fn page_name(period: Span) -> String {
    match period {
        Span::Hour(hour) => format!("{:02}.html", hour.0.rem_euclid(24)),
        Span::Day(_) => DAY_PAGE.to_owned(),
    }
}

/// The hour of the name of a page.
pub(crate) fn hour_of_page(day: Day, name: &str) -> Option<Hour> {
    let hh = name.strip_suffix(".html")?;
    let number: i64 = hh.parse().ok()?;
    let hour = Hour(day.first().0 + number);
    (hh.len() == 2 && (0..24).contains(&number)).then_some(hour)
}

impl SiteKeys {
    pub(crate) fn new(bucket: &Bucket, tenant: &Tenant) -> Self {
        let tenant = bucket.keys.root().join(tenant.key());
        Self {
            graphs: tenant.clone().join(FLAMEGRAPHS),
            tenant,
        }
    }

    /// The folder of graphs and pages.
    pub(crate) fn graphs(&self) -> &Path {
        &self.graphs
    }

    /// The page with the calendar.
    pub(crate) fn calendar(&self) -> Path {
        self.graphs.clone().join(INDEX)
    }

    /// The folder of the pages of a day.
    pub(crate) fn day(&self, day: Day) -> Path {
        self.graphs.clone().join(day.to_string())
    }

    /// The page of a day.
    pub(crate) fn index(&self, day: Day) -> Path {
        self.day(day).join(INDEX)
    }

    /// The page of the artefacts of a period.
    pub(crate) fn page(&self, period: Span) -> Path {
        self.day(period.day()).join(page_name(period))
    }

    /// A file of a period in one of the two folders.
    pub(crate) fn artefact(&self, folder: &str, period: Span, file: &str) -> Path {
        let folder = self.tenant.clone().join(folder);
        folder.join(level(period)).join(file)
    }

    /// Whether a key is that of a log.
    pub(crate) fn is_log(&self, key: &Path) -> bool {
        key.prefix_matches(&self.tenant.clone().join(LOGS))
    }

    /// The key of a link of a page of a day: relative to its folder, and never out of the two folders.
    pub(crate) fn linked(&self, link: &str) -> Option<Path> {
        let (folder, rest) = match link.strip_prefix("../../logs/") {
            Some(rest) => (LOGS, rest),
            None => (FLAMEGRAPHS, link.strip_prefix("../")?),
        };
        let (level, file) = rest.split_once('/')?;
        let is_known = matches!(level, "hourly" | "daily");
        let is_file = !file.is_empty() && !file.contains('/') && !file.starts_with('.');
        (is_known && is_file).then(|| self.tenant.clone().join(folder).join(level).join(file))
    }
}
