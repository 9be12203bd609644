//! Deletes the artefacts whose retention is over.

use crate::error::Result;
use crate::keys::hour_of_page;
use crate::page;
use crate::renderer::Renderer;
use crate::site::Site;
use crate::span::Span;
use davy_archive::key::{Day, Hour, Tenant};
use object_store::path::Path;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A rendered object whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH` or `YYYY-MM-DD`.
    pub period: String,
    /// `graph`, `log` or `page`.
    pub kind: &'static str,
    /// Name of the file.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Why it is deleted.
    pub reason: &'static str,
}

/// What is deleted of a tenant.
#[derive(Default)]
struct Over {
    /// Days of which everything is deleted.
    days: Vec<Day>,
    /// Days of which the hours are deleted, if they have some.
    hours: Vec<Day>,
}

/// Hours that have a page.
fn hours<T>(day: Day, pages: &BTreeMap<String, T>) -> Vec<Hour> {
    let names = pages.keys();
    names.filter_map(|name| hour_of_page(day, name)).collect()
}

impl Renderer {
    /// Deletes the artefacts whose retention is over, or only lists them.
    pub async fn retain(&self, dry_run: bool) -> Result<Vec<Retained>> {
        let mut all = Vec::new();
        for tenant in self.archive.bucket().tenants().await? {
            let site = self.site(&tenant);
            let mut days = site.days().await?;
            let over = self.over(&days);
            all.extend(list(&site, &tenant, &over).await?);
            if !dry_run {
                self.expire(&site, &tenant, &mut days).await?;
            }
        }
        Ok(all)
    }

    fn over(&self, days: &BTreeSet<Day>) -> Over {
        let now = self.options.clock.now();
        let levels = self.options.levels.with_accepted(self.options.accepted);
        let mut over = Over::default();
        for day in days {
            if day.end().plus(levels.days) <= now {
                over.days.push(*day);
            } else if day.end().plus(levels.hours) <= now {
                over.hours.push(*day);
            }
        }
        over
    }

    /// Deletes artefacts that are older than the level that they show. A page that leads to something is written before
    /// that is deleted, so that links never lead nowhere.
    pub(crate) async fn expire(
        &self,
        site: &Site<'_>,
        tenant: &Tenant,
        days: &mut BTreeSet<Day>,
    ) -> Result<()> {
        let over = self.over(days);
        if !over.days.is_empty() {
            days.retain(|day| !over.days.contains(day));
            site.calendar(days).await?;
        }
        for day in over.days {
            for hour in hours(day, &site.pages(day).await?) {
                self.delete(site, hour.into()).await?;
            }
            self.delete(site, day.into()).await?;
            site.bucket.delete(&site.keys.index(day)).await?;
        }
        let expired: Vec<Day> = {
            let mut known = self.known();
            let clean = known.expired.entry(tenant.clone()).or_default();
            clean.retain(|day| days.contains(day));
            let over = over.hours.into_iter();
            over.filter(|day| !clean.contains(day)).collect()
        };
        for day in expired {
            let hours = hours(day, &site.pages(day).await?);
            if !hours.is_empty() {
                site.index(day, &BTreeSet::new()).await?;
            }
            for hour in hours {
                self.delete(site, hour.into()).await?;
            }
            if let Some(clean) = self.known().expired.get_mut(tenant) {
                clean.insert(day);
            }
        }
        Ok(())
    }

    /// Deletes the artefacts that the page of a period lists, and then the page.
    async fn delete(&self, site: &Site<'_>, period: Span) -> Result<()> {
        let key = site.keys.page(period);
        let Some(html) = site.read(&key).await? else {
            return Ok(());
        };
        let keys: Vec<Path> = page::links(&html)
            .filter_map(|link| site.keys.linked(link))
            .collect();
        site.bucket.delete_many(&keys).await?;
        site.bucket.delete(&key).await?;
        self.metrics.deleted.inc_by(keys.len() as u64 + 1);
        tracing::debug!(day = %period.day(), objects = keys.len(), "expired flame graphs deleted");
        Ok(())
    }
}

/// The objects that are deleted, with their sizes.
async fn list(site: &Site<'_>, tenant: &Tenant, over: &Over) -> Result<Vec<Retained>> {
    let mut found: BTreeMap<Path, Retained> = BTreeMap::new();
    let of_day = over.days.iter().map(|day| (*day, true));
    let of_hours = over.hours.iter().map(|day| (*day, false));
    for (day, is_whole) in of_day.chain(of_hours) {
        let pages = site.pages(day).await?;
        let mut periods: Vec<Span> = hours(day, &pages).into_iter().map(Span::from).collect();
        if is_whole {
            periods.push(day.into());
        }
        for period in periods {
            let row = |kind, key: &Path| Retained {
                tenant: tenant.key().to_owned(),
                period: period.to_string(),
                kind,
                name: key.filename().unwrap_or_default().to_owned(),
                bytes: 0,
                reason: if is_whole {
                    "older than archive.days_retention"
                } else {
                    "older than archive.hours_retention"
                },
            };
            let page = site.keys.page(period);
            let html = site.read(&page).await?.unwrap_or_default();
            let links = page::links(&html).filter_map(|link| site.keys.linked(link));
            for key in links {
                let kind = if site.keys.is_log(&key) {
                    "log"
                } else {
                    "graph"
                };
                found.insert(key.clone(), row(kind, &key));
            }
            found.insert(page.clone(), row("page", &page));
            if period == Span::Day(day) {
                let index = site.keys.index(day);
                found.insert(index.clone(), row("page", &index));
            }
        }
    }
    let mut folders: BTreeSet<Path> = BTreeSet::new();
    for key in found.keys() {
        let mut parts: Vec<_> = key.parts().collect();
        parts.pop();
        folders.insert(parts.into_iter().collect());
    }
    let mut all = Vec::new();
    for folder in folders {
        for object in site.bucket.list(&folder).await? {
            // A page can lead to what is not there any more.
            if let Some(mut row) = found.remove(&object.location) {
                row.bytes = object.size;
                all.push(row);
            }
        }
    }
    all.sort_by(|a, b| (&a.period, a.kind, &a.name).cmp(&(&b.period, b.kind, &b.name)));
    Ok(all)
}
