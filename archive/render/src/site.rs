//! The pages that lead to those of hours and days: one for each day, and the calendar.

use crate::calendar;
use crate::error::Result;
use crate::html::page;
use crate::keys::{SiteKeys, hour_of_page, page_name};
use crate::page;
use crate::span::Span;
use bytes::Bytes;
use davy_archive::bucket::{Bucket, ReadError};
use davy_archive::key::{Day, Hour};
use davy_base::Timestamp;
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};

/// The media type of pages.
const HTML: &str = "text/html; charset=utf-8";

/// The pages of a tenant.
pub(crate) struct Site<'a> {
    pub(crate) bucket: &'a Bucket,
    pub(crate) keys: SiteKeys,
}

impl Site<'_> {
    /// The text of a page; `None` if there is none.
    pub(crate) async fn read(&self, key: &Path) -> Result<Option<String>> {
        match self.bucket.get_current(key).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error.into()),
        }
    }

    pub(crate) async fn write(&self, key: &Path, html: String) -> Result<()> {
        let put = self.bucket.put_served(key, Bytes::from(html), (HTML, None));
        Ok(put.await?)
    }

    /// Writes a page unless it is written so.
    async fn update(&self, key: &Path, html: String) -> Result<bool> {
        if self.read(key).await?.as_deref() == Some(&html) {
            return Ok(false);
        }
        self.write(key, html).await?;
        Ok(true)
    }

    /// The pages of a day, by name, with the times at which they were written.
    pub(crate) async fn pages(&self, day: Day) -> Result<BTreeMap<String, Timestamp>> {
        let objects = self.bucket.list(&self.keys.day(day)).await?;
        let pages = objects.iter().filter_map(|object| {
            let written = Timestamp::from_millis(object.last_modified.timestamp_millis());
            Some((object.location.filename()?.to_owned(), written))
        });
        Ok(pages.collect())
    }

    /// Days that have pages.
    pub(crate) async fn days(&self) -> Result<BTreeSet<Day>> {
        let folders = self.bucket.folders(self.keys.graphs()).await?;
        Ok(folders
            .iter()
            .filter_map(|name| calendar::day(name))
            .collect())
    }

    /// Writes the page of a day that links to these hours.
    pub(crate) async fn index(&self, day: Day, hours: &BTreeSet<Hour>) -> Result<bool> {
        let of_day = self.read(&self.keys.page(Span::Day(day))).await?;
        let mut body = String::from(
            "<nav aria-label=\"Pages\"><a href=\"../index.html\">All days</a></nav>\n",
        );
        match of_day.as_deref().and_then(page::graphs) {
            Some(graphs) => {
                let page = page_name(Span::Day(day));
                body.push_str(&format!(
                    "<p><a href=\"{page}\">Only the graphs of the day</a> | <a href=\"#hours\">Hours</a></p>\n{graphs}"
                ));
            }
            None => body.push_str("<p>The graphs of the day follow when it is over.</p>\n"),
        }
        body.push_str("<h2 id=\"hours\">Hours (UTC)</h2>\n<ol class=\"hours\">\n");
        for hour in day.hours() {
            let hh = hour.0.rem_euclid(24);
            let item = if hours.contains(&hour) {
                let link = page_name(hour.into());
                format!("<li><a href=\"{link}\">{hh:02}:00</a></li>\n")
            } else {
                format!("<li class=\"none\">{hh:02}:00</li>\n")
            };
            body.push_str(&item);
        }
        body.push_str("</ol>\n");
        let html = page(&format!("Flame graphs of {day}"), "", &body);
        self.update(&self.keys.index(day), html).await
    }

    /// Writes the page of a day that links to all hours that have a page.
    pub(crate) async fn index_of_pages(&self, day: Day) -> Result<bool> {
        let pages = self.pages(day).await?;
        let hours = pages.keys().filter_map(|name| hour_of_page(day, name));
        let hours: BTreeSet<Hour> = hours.collect();
        if hours.is_empty() && !pages.contains_key(&page_name(Span::Day(day))) {
            return Ok(false);
        }
        self.index(day, &hours).await
    }

    /// Writes the calendar of these days.
    pub(crate) async fn calendar(&self, days: &BTreeSet<Day>) -> Result<bool> {
        let html = page("Flame graphs", "", &calendar::months(days));
        self.update(&self.keys.calendar(), html).await
    }
}
