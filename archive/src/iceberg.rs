//! Publishes the blocks of a tenant as Apache Iceberg tables, which Spark, Trino, DuckDB and others query. Only metadata
//! is written, to `<tenant>/table/<name>/metadata/`; the data are the files of the blocks.
//!
//! **Nothing counts twice.** A snapshot has the pieces from which a reader would read whole hours and days (`rule::day`),
//! and no piece of which only a part would be read: the other engines know neither the rule nor the ids of windows. An
//! hour for which there are no such pieces is left out, and the result names it (see `choice`).
//!
//! A file is in a partition of its own, whose values are the name of its block, its day, and its hour if it is of an
//! hour. Engines take the values of such columns from the metadata, so they need not be in the files.

mod avro;
mod choice;
mod files;
mod manifest;
mod metadata;
mod publish;
mod report;
mod schema;
mod windows;

pub use report::{LeftOut, PublishedTable, PublishedTables, TableOptions};

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::format::Table;
use crate::key::{Hour, Tenant};
use crate::progress::Progress;
use choice::Reason;
use std::collections::BTreeMap;

/// The tables that are published. That of totals is not: earlier blocks do not have it, and a sum over it would miss them.
const PUBLISHED: [Table; 8] = [
    Table::Samples,
    Table::Sums,
    Table::Nodes,
    Table::Frames,
    Table::Functions,
    Table::Mappings,
    Table::Series,
    Table::Windows,
];

impl Archive {
    /// Publishes the tables of all tenants.
    pub async fn publish_tables(
        &self,
        options: &TableOptions,
        progress: Progress<'_>,
    ) -> Result<Vec<PublishedTables>> {
        let root = self.bucket().client().bucket().url.root();
        let location = match options.location.trim_end_matches('/') {
            "" if root == "memory:" || root.starts_with("swift:") => {
                return Err(Error::invalid(format!(
                    "other engines cannot read {root}; state the address under which they read the bucket, for example \
                     s3://CONTAINER for the S3 API of Swift"
                )));
            }
            "" => root,
            location => location.to_owned(),
        };
        let mut all = Vec::new();
        for tenant in self.bucket().tenants().await? {
            if options.tenant.as_ref().is_none_or(|of| *of == tenant) {
                let published = self
                    .publish_tenant(&tenant, &location, options.is_dry_run, progress)
                    .await?;
                all.push(published);
            }
        }
        Ok(all)
    }

    async fn publish_tenant(
        &self,
        tenant: &Tenant,
        location: &str,
        is_dry_run: bool,
        progress: Progress<'_>,
    ) -> Result<PublishedTables> {
        let chosen = windows::choose(self.bucket(), tenant).await?;
        let now = Hour::of(self.now());
        let left_out: BTreeMap<Hour, Reason> = chosen.left_out;
        let first = left_out.keys().next().copied();
        let complete_until = first.map_or(now, |first| first.min(now));
        let mut published = PublishedTables {
            tenant: tenant.key().to_owned(),
            complete_until: complete_until.to_string(),
            samples_from: None,
            left_out: left_out
                .iter()
                .map(|(hour, reason)| LeftOut {
                    hour: hour.to_string(),
                    reason: reason.text(),
                })
                .collect(),
            faults: chosen.faults,
            tables: Vec::new(),
        };
        let publication = publish::Publication {
            archive: self,
            tenant,
            location,
            complete_until: &published.complete_until,
            is_dry_run,
        };
        let files = files::Files::of(self.bucket(), tenant, &chosen.pieces).await?;
        published.faults.extend(files.faults.iter().cloned());
        published.samples_from = files.samples_from.map(|day| day.to_string());
        for (done, table) in (1..).zip(PUBLISHED) {
            published
                .tables
                .push(publication.table(table, &files).await?);
            progress(done, PUBLISHED.len() as u64);
        }
        Ok(published)
    }
}
