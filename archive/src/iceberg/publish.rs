//! Publishes one table: a manifest, a manifest list, the metadata object, and last the hint that names it.
//!
//! Two publications at the same time need no lock: each writes a state of its own, and the last one stays.

use super::files::{BlockFiles, DataFile, Files, with_rows};
use super::manifest::{
    Entry, ManifestFile, Status, count, read_manifest, write_manifest, write_manifest_list,
};
use super::metadata::{MetadataLog, Snapshot, TableMetadata};
use super::report::PublishedTable;
use super::schema;
use crate::archive::Archive;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Table;
use crate::key::Tenant;
use bytes::Bytes;
use davy_base::Timestamp;
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a snapshot is kept after it was replaced. Its blocks are kept for the grace period of compaction.
const SNAPSHOTS_KEPT: Duration = Duration::from_hours(24);
/// Age from which on a file that no snapshot needs is deleted. A younger one may be of a publication in progress.
const UNUSED_KEPT: Duration = Duration::from_hours(1);
/// Number of earlier metadata objects that are kept.
const METADATA_KEPT: usize = 10;
/// The object that names the current metadata object.
const HINT: &str = "version-hint.text";

/// A publication of tables.
pub(super) struct Publication<'a> {
    pub(super) archive: &'a Archive,
    pub(super) tenant: &'a Tenant,
    /// The URL of the bucket.
    pub(super) location: &'a str,
    pub(super) complete_until: &'a str,
    pub(super) is_dry_run: bool,
}

/// The metadata of a table, and its number.
struct Current {
    version: u64,
    metadata: TableMetadata,
}

fn metadata_file(version: u64) -> String {
    format!("v{version}.metadata.json")
}

fn manifest_file(snapshot: i64) -> String {
    format!("{snapshot}-m0.avro")
}

/// The last part of a URL.
fn file_of(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, file)| file)
}

fn json(value: &TableMetadata) -> Result<Bytes> {
    let text = serde_json::to_vec(value);
    let text =
        text.map_err(|error| Error::caused(ErrorKind::Internal, "cannot write JSON", error))?;
    Ok(text.into())
}

impl Publication<'_> {
    fn bucket(&self) -> &Bucket {
        self.archive.bucket()
    }

    fn url(&self, key: &Path) -> String {
        format!("{}/{key}", self.location)
    }

    fn metadata_key(&self, table: Table, file: &str) -> Path {
        let keys = &self.bucket().keys;
        keys.published(self.tenant, table.name(), file)
    }

    /// An object that may not exist.
    async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        match self.bucket().get_current(key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// The current metadata. If it cannot be read, the table starts over with the number after the highest one.
    async fn current(&self, table: Table) -> Result<Current> {
        let bits = self.archive.random_bits();
        let keys = &self.bucket().keys;
        let location = self.url(&keys.published_table(self.tenant, table.name()));
        let new = |version| Current {
            version,
            metadata: TableMetadata::new(bits, location.clone(), &schema::partition_fields()),
        };
        let Some(hint) = self.get(&self.metadata_key(table, HINT)).await? else {
            return Ok(new(0));
        };
        let hint = String::from_utf8_lossy(&hint).trim().parse::<u64>();
        let Ok(version) = hint else {
            return Ok(new(0));
        };
        let key = self.metadata_key(table, &metadata_file(version));
        let Some(text) = self.get(&key).await? else {
            return Ok(new(version));
        };
        match serde_json::from_slice::<TableMetadata>(&text) {
            Ok(mut metadata) => {
                metadata.location = location;
                Ok(Current { version, metadata })
            }
            Err(error) => {
                tracing::warn!(%key, %error, "unreadable metadata of a table, writing new ones");
                Ok(new(version))
            }
        }
    }

    /// The files of the current snapshot.
    async fn entries(&self, table: Table, current: &TableMetadata) -> Result<Vec<Entry>> {
        let Some(snapshot) = current.current() else {
            return Ok(Vec::new());
        };
        let key = self.metadata_key(table, &manifest_file(snapshot.snapshot_id));
        match self.get(&key).await? {
            Some(bytes) => read_manifest(&bytes).map_err(|error| error.within(&key)),
            None => Ok(Vec::new()),
        }
    }

    /// Publishes a table.
    pub(super) async fn table(&self, table: Table, files: &Files) -> Result<PublishedTable> {
        let Current {
            version,
            mut metadata,
        } = self.current(table).await?;
        let before = self.entries(table, &metadata).await?;
        let known: BTreeMap<&str, &Entry> = before
            .iter()
            .map(|entry| (entry.file.url.as_str(), entry))
            .collect();
        let mut entries = Vec::new();
        let mut new: Vec<(DataFile, &BlockFiles)> = Vec::new();
        let mut urls = BTreeSet::new();
        for block in &files.blocks {
            if !files.has(self.bucket(), self.tenant, block, table) {
                continue;
            }
            let keys = &self.bucket().keys;
            let file = table.file();
            let url = self.url(&keys.block(self.tenant, block.period, &block.id, &file));
            let (day, hour) = block.partition();
            if let Some(entry) = known.get(url.as_str()) {
                entries.push((*entry).clone());
            } else {
                let bytes = block.meta.file(table)?.bytes as i64;
                let (block_id, rows) = (block.id.0.clone(), 0);
                let file = DataFile {
                    url: url.clone(),
                    block: block_id,
                    day,
                    hour,
                    rows,
                    bytes,
                };
                new.push((file, block));
            }
            urls.insert(url);
        }
        let added = with_rows(self.bucket(), self.tenant, table, new).await?;
        let removed = before
            .iter()
            .filter(|entry| !urls.contains(&entry.file.url));
        let removed: Vec<Entry> = removed.cloned().collect();
        let rows = entries.iter().map(|entry| entry.file.rows).sum::<i64>();
        let mut published = PublishedTable {
            table: table.name(),
            location: metadata.location.clone(),
            files: urls.len(),
            rows: rows + added.iter().map(|file| file.rows).sum::<i64>(),
            added: added.len(),
            removed: removed.len(),
            snapshot: metadata.current_snapshot_id,
        };
        let fields = schema::fields(table);
        let is_same = {
            let current = metadata.current().map(|of| of.schema_id);
            let schema = metadata.set_schema(&fields);
            current.map(i64::from) == schema["schema-id"].as_i64()
        };
        let is_empty = urls.is_empty() && before.is_empty();
        if self.is_dry_run || is_empty || (added.is_empty() && removed.is_empty() && is_same) {
            return Ok(published);
        }
        let snapshot = (self.archive.random_bits() >> 65) as i64;
        let sequence = metadata.last_sequence_number + 1;
        entries.extend(added.into_iter().map(|file| Entry {
            status: Status::Added,
            snapshot,
            sequence,
            file,
        }));
        entries.extend(removed.into_iter().map(|entry| Entry {
            status: Status::Deleted,
            snapshot,
            ..entry
        }));
        self.commit(table, version, metadata, snapshot, entries)
            .await?;
        published.snapshot = Some(snapshot);
        Ok(published)
    }

    /// Writes a snapshot.
    async fn commit(
        &self,
        table: Table,
        version: u64,
        mut metadata: TableMetadata,
        snapshot: i64,
        entries: Vec<Entry>,
    ) -> Result<()> {
        let now = self.archive.now();
        let (parent, sequence) = (
            metadata.current_snapshot_id,
            metadata.last_sequence_number + 1,
        );
        let fields = schema::fields(table);
        let schema = metadata.set_schema(&fields);
        let manifest = write_manifest(&entries, &schema, &schema::partition_fields())?;
        let manifest_key = self.metadata_key(table, &manifest_file(snapshot));
        let list = write_manifest_list(&ManifestFile {
            url: self.url(&manifest_key),
            bytes: manifest.len(),
            snapshot,
            parent,
            sequence,
            entries: &entries,
        })?;
        let list_key = self.metadata_key(table, &format!("snap-{snapshot}.avro"));
        let previous = self.url(&self.metadata_key(table, &metadata_file(version)));
        if parent.is_some() {
            metadata.metadata_log.push(MetadataLog {
                timestamp_ms: metadata.last_updated_ms,
                metadata_file: previous,
            });
        }
        let extra = metadata.metadata_log.len().saturating_sub(METADATA_KEPT);
        metadata.metadata_log.drain(..extra);
        metadata.properties = [
            (
                "schema.name-mapping.default".to_owned(),
                schema::name_mapping(table),
            ),
            (
                "davy.complete-until".to_owned(),
                self.complete_until.to_owned(),
            ),
        ]
        .into();
        let of = Snapshot {
            snapshot_id: snapshot,
            parent_snapshot_id: parent,
            sequence_number: sequence,
            timestamp_ms: now.millis(),
            manifest_list: self.url(&list_key),
            summary: self.summary(&entries),
            schema_id: metadata.current_schema_id,
        };
        metadata.add(of, now.minus(SNAPSHOTS_KEPT).millis());
        let metadata_key = self.metadata_key(table, &metadata_file(version + 1));
        let bucket = self.bucket();
        bucket.put(&manifest_key, manifest).await?;
        bucket.put(&list_key, list).await?;
        bucket.put(&metadata_key, json(&metadata)?).await?;
        let hint = Bytes::from((version + 1).to_string());
        bucket.put(&self.metadata_key(table, HINT), hint).await?;
        self.expire(table, version + 1, &metadata, now).await
    }

    fn summary(&self, entries: &[Entry]) -> BTreeMap<String, String> {
        let of = |status| count(entries, status);
        let (added, existing, deleted) =
            (of(Status::Added), of(Status::Existing), of(Status::Deleted));
        let operation = match (added.files, deleted.files) {
            (_, 0) => "append",
            (0, _) => "delete",
            _ => "overwrite",
        };
        let files = added.files + existing.files;
        let rows = added.rows + existing.rows;
        [
            ("operation", operation.to_owned()),
            ("added-data-files", added.files.to_string()),
            ("added-records", added.rows.to_string()),
            ("deleted-data-files", deleted.files.to_string()),
            ("deleted-records", deleted.rows.to_string()),
            ("total-data-files", files.to_string()),
            ("total-records", rows.to_string()),
            ("davy.complete-until", self.complete_until.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// Deletes metadata that no snapshot needs.
    async fn expire(
        &self,
        table: Table,
        version: u64,
        metadata: &TableMetadata,
        now: Timestamp,
    ) -> Result<()> {
        let mut used: BTreeSet<String> = [HINT.to_owned(), metadata_file(version)].into();
        for snapshot in &metadata.snapshots {
            used.insert(manifest_file(snapshot.snapshot_id));
            used.insert(file_of(&snapshot.manifest_list).to_owned());
        }
        let logged = metadata.metadata_log.iter();
        used.extend(logged.map(|of| file_of(&of.metadata_file).to_owned()));
        let folder = self.metadata_key(table, "");
        let objects = self.bucket().list(&folder).await?;
        let unused = objects.into_iter().filter(|object| {
            let written = Timestamp::from_millis(object.last_modified.timestamp_millis());
            let is_used = |file: &str| used.contains(file);
            !object.location.filename().is_some_and(is_used) && written.plus(UNUSED_KEPT) <= now
        });
        let unused: Vec<Path> = unused.map(|object| object.location).collect();
        self.bucket().delete_many(&unused).await
    }
}
