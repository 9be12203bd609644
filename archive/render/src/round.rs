//! Rounds: what is due of each day is rendered, and what has expired is deleted.

use crate::due::{Due, Shown, Stated, due, due_since, shown};
use crate::error::Result;
use crate::keys::{SiteKeys, page_name};
use crate::page;
use crate::presence::Share;
use crate::renderer::{Rendered, Renderer};
use crate::site::Site;
use crate::span::Span;
use davy_archive::bucket::ReadError;
use davy_archive::key::{Day, Hour, Tenant};
use davy_archive::rule::day::DayListing;
use davy_base::Timestamp;
use std::ops::Range;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// Time after which the pages of a day, and the calendar, are compared with what they should be, even if nothing changed.
const COMPARED: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Which periods a command renders.
#[derive(Clone, Debug, Default)]
pub struct RenderRange {
    /// Hours and days that begin within.
    pub range: Range<Timestamp>,
    /// This tenant only.
    pub tenant: Option<Tenant>,
    /// Also those that are up to date.
    pub again: bool,
    /// Nothing is written.
    pub dry_run: bool,
}

/// What a visit of a day is to do.
struct Visit<'a> {
    share: &'a Share,
    range: Option<&'a RenderRange>,
}

/// A number of everything that was listed of a day.
fn identity(day: Day, listing: &DayListing, closed: usize) -> u128 {
    let mut names: Vec<String> = vec![format!("{day} {closed}")];
    for of in listing.hours.values() {
        names.extend(of.segments.iter().map(|of| of.name.to_string()));
        names.extend(of.blocks.iter().map(|of| of.id.0.clone()));
    }
    names.extend(listing.blocks.iter().map(|of| of.id.0.clone()));
    names.sort();
    xxh3_128(names.join("\n").as_bytes())
}

impl Renderer {
    pub(crate) fn site(&self, tenant: &Tenant) -> Site<'_> {
        let bucket = self.archive.bucket();
        Site {
            bucket,
            keys: SiteKeys::new(bucket, tenant),
        }
    }

    pub(crate) async fn round(&self, share: &Share) -> Result<Vec<Rendered>> {
        let bucket = self.archive.bucket();
        let mut all = Vec::new();
        let mut lag = Duration::ZERO;
        for tenant in bucket.tenants().await? {
            let now = self.options.clock.now();
            // Older days get no windows any more.
            let first = Hour::of(now.minus(self.options.accepted + DAY));
            let folders = bucket.levels(&tenant);
            let (days, faults) = bucket
                .days(&tenant, &folders, (first, Hour::of(now)))
                .await?;
            for fault in faults {
                tracing::warn!(fault, "unreadable block not considered for rendering");
            }
            let visit = Visit { share, range: None };
            let mut is_changed = false;
            for (day, listing) in days.into_iter().rev() {
                let done = self.day(&tenant, day, &listing, &visit).await?;
                is_changed |= done.is_changed;
                lag = lag.max(done.lag);
                all.extend(done.rendered);
            }
            self.calendar(&tenant, is_changed, share).await?;
        }
        let lag = i64::try_from(lag.as_secs()).unwrap_or(i64::MAX);
        self.metrics.lag.set(lag);
        Ok(all)
    }

    /// Renders the closed hours and days in a range, however old they are. Returns all of them.
    pub async fn render(
        &self,
        range: &RenderRange,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vec<Rendered>> {
        let bucket = self.archive.bucket();
        let mut all = Vec::new();
        for tenant in bucket.tenants().await? {
            if range.tenant.as_ref().is_some_and(|only| *only != tenant) {
                continue;
            }
            let last = Timestamp::from_millis(range.range.end.millis() - 1);
            let hours = (
                Day::of(Hour::of(range.range.start)).first(),
                Hour(Day::of(Hour::of(last)).first().0 + 23),
            );
            let folders = bucket.levels(&tenant);
            let (days, faults) = bucket.days(&tenant, &folders, hours).await?;
            for fault in faults {
                tracing::warn!(fault, "unreadable block not considered for rendering");
            }
            let visit = Visit {
                share: &Share::All,
                range: Some(range),
            };
            let total = days.len() as u64;
            for (done, (day, listing)) in (1..).zip(days) {
                all.extend(self.day(&tenant, day, &listing, &visit).await?.rendered);
                progress(done, total);
            }
            if !range.dry_run {
                self.calendar(&tenant, true, &Share::All).await?;
            }
        }
        Ok(all)
    }

    /// Renders what is due of a day.
    async fn day(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
        visit: &Visit<'_>,
    ) -> Result<DayDone> {
        let now = self.options.clock.now();
        let settle = self.options.policy.settle;
        let closed = |end: Timestamp| now >= end.plus(settle);
        let count = day.hours().filter(|hour| closed(hour.end())).count();
        let identity = identity(day, listing, count + usize::from(closed(day.end())));
        let memo = (tenant.clone(), day);
        if visit.range.is_none()
            && let Some((known, until)) = self.known().days.get(&memo)
            && *known == identity
            && now < *until
        {
            return Ok(DayDone::default());
        }
        let mut done = DayDone::default();
        let Some(shown) = self.shown(tenant, day, listing).await? else {
            return Ok(done);
        };
        let site = self.site(tenant);
        let pages = site.pages(day).await?;
        let mut is_settled = true;
        for (period, shown) in shown {
            if !closed(period.end()) {
                continue;
            }
            let stated = self.stated(&site, period, &pages).await?;
            let why = match visit.range {
                None => due(period, &shown, stated.as_ref(), now, settle),
                Some(range) if !range.range.contains(&period.start()) => continue,
                Some(range) => asked(&shown, stated.as_ref(), range.again),
            };
            // What was due before this process began is left to its owner at first.
            let since = due_since(period, &shown, settle).max(self.started);
            let is_dry = visit.range.is_some_and(|range| range.dry_run);
            let key = format!("{}/{period} render", tenant.key());
            if why.is_due() && !is_dry && !visit.share.contains(&key, since, now) {
                done.lag = done.lag.max(now.since(since));
                is_settled = false;
                continue;
            }
            let rendered = if why.is_due() && !is_dry {
                self.period(&site, tenant, period, &shown, why).await
            } else if visit.range.is_some() {
                Rendered::nothing(tenant, period, why, &shown)
            } else {
                is_settled &= why == Due::UpToDate;
                continue;
            };
            is_settled = false;
            done.is_changed = true;
            if rendered.error.is_some() {
                done.lag = done.lag.max(now.since(since));
            }
            done.rendered.push(rendered);
        }
        let is_dry = visit.range.is_some_and(|range| range.dry_run);
        if !is_dry {
            done.is_changed |= site.index_of_pages(day).await?;
        }
        if is_settled && visit.range.is_none() {
            let mut known = self.known();
            known.days.insert(memo, (identity, now.plus(COMPARED)));
            let oldest = Day::of(Hour::of(now.minus(self.options.accepted + DAY * 2)));
            known.days.retain(|(_, day), _| *day >= oldest);
        }
        Ok(done)
    }

    /// What each period of a day holds; `None` if a block of the day was deleted meanwhile.
    async fn shown(
        &self,
        tenant: &Tenant,
        day: Day,
        listing: &DayListing,
    ) -> Result<Option<std::collections::BTreeMap<Span, Shown>>> {
        let has_segments = listing.hours.values().any(|of| !of.segments.is_empty());
        let ([block], false) = (listing.blocks.as_slice(), has_segments) else {
            return Ok(Some(shown(day, listing, None)));
        };
        // In such a listing, names of hour blocks can stand for the segments that these hold.
        let leaves = self
            .archive
            .bucket()
            .day_leaves(tenant, day, &block.id)
            .await;
        match leaves {
            Ok(leaves) if leaves == block.leaves => Ok(Some(shown(day, listing, None))),
            Ok(leaves) => Ok(Some(shown(day, listing, Some(&leaves)))),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error.into()),
        }
    }

    /// What the page of a period says.
    async fn stated(
        &self,
        site: &Site<'_>,
        period: Span,
        pages: &std::collections::BTreeMap<String, Timestamp>,
    ) -> Result<Option<Stated>> {
        let Some(written) = pages.get(&page_name(period)) else {
            return Ok(None);
        };
        let html = site.read(&site.keys.page(period)).await?;
        Ok(html.and_then(|html| page::stated(&html, *written)))
    }

    /// Writes the calendar and deletes what has expired.
    async fn calendar(&self, tenant: &Tenant, is_changed: bool, share: &Share) -> Result<()> {
        let now = self.options.clock.now();
        let written = self.known().calendars.get(tenant).copied();
        if !is_changed && written.is_some_and(|at| now < at.plus(COMPARED)) {
            return Ok(());
        }
        let site = self.site(tenant);
        let mut days = site.days().await?;
        let key = format!("{} expire", tenant.key());
        if share.contains(&key, now, now) {
            self.expire(&site, tenant, &mut days).await?;
        }
        if !days.is_empty() || written.is_some() {
            site.calendar(&days).await?;
        }
        self.known().calendars.insert(tenant.clone(), now);
        Ok(())
    }
}

/// What was done of a day.
#[derive(Default)]
struct DayDone {
    rendered: Vec<Rendered>,
    is_changed: bool,
    /// How long something has been due that was not rendered.
    lag: Duration,
}

/// Whether a command renders a closed period.
fn asked(shown: &Shown, stated: Option<&Stated>, again: bool) -> Due {
    match stated {
        None => Due::New,
        Some(stated) if stated.hash != shown.hash => Due::Late,
        Some(stated) if !stated.is_complete => Due::Incomplete,
        Some(_) if again => Due::Again,
        Some(_) => Due::UpToDate,
    }
}
