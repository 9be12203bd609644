//! The symbols of all builds, for what stores them besides `PUT /api/v1/symbols`.

use super::service::Ingest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::symbols::SymbolsMeta;
use crate::key::Tenant;
use crate::symbols::{Fetching, MissingBuild, Upload};
use bytes::Bytes;
use davy_base::{Clock, Timestamp};
use davy_profile::units;
use tokio::sync::mpsc;

/// What is stored of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSymbols {
    /// Build id.
    pub build_id: String,
    /// Name of the file.
    pub file: String,
    /// Number of functions with a name.
    pub functions: u64,
    /// Size of the tables in bytes.
    pub bytes: u64,
    /// When they were stored.
    pub at: Timestamp,
}

impl From<SymbolsMeta> for StoredSymbols {
    fn from(meta: SymbolsMeta) -> Self {
        Self {
            bytes: meta.bytes(),
            build_id: meta.build_id,
            file: meta.file_name,
            functions: meta.functions,
            at: Timestamp::from_millis(meta.stored_at),
        }
    }
}

/// Stores and describes the symbols of builds. Cheap to clone.
#[derive(Clone)]
pub struct SymbolStore(Ingest);

impl SymbolStore {
    pub(crate) fn new(ingest: Ingest) -> Self {
        Self(ingest)
    }

    /// The clock of the archive.
    pub fn clock(&self) -> &Clock {
        &self.0.options().clock
    }

    /// Maximum size of a symbol index, in bytes.
    pub fn index_bytes_max(&self) -> usize {
        let options = self.0.options();
        options.symbol_index_bytes.min(options.buffer_bytes / 4 * 3)
    }

    /// Stores a symbol index, unless the one that is stored names more functions. Returns what is stored when it is in the
    /// bucket. `index` counts as memory of pushes until then.
    pub async fn store(
        &self,
        tenant: &Tenant,
        build_id: &str,
        index: Bytes,
    ) -> Result<StoredSymbols> {
        let mut reservation = self.0.reserve();
        let limit = self.index_bytes_max();
        if index.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the symbol index has {}, the limit of this archiver is {}: three quarters of archive.buffer_bytes, at most 256 MiB",
                    units::bytes(index.len() as f64),
                    units::bytes(limit as f64)
                ),
            ));
        }
        reservation.grow(index.len())?;
        let upload = Upload {
            build_id: build_id.to_owned(),
            index,
        };
        let stored = self.0.store_symbols(tenant, upload, reservation).await?;
        Ok(stored.meta.into())
    }

    /// What is stored of a build.
    pub async fn get(&self, tenant: &Tenant, build_id: &str) -> Result<Option<StoredSymbols>> {
        let found = self.0.symbols().get(tenant, build_id).await?;
        Ok(found.map(StoredSymbols::from))
    }

    /// What is stored of all builds of a tenant, sorted by build id, and a sentence for what could not be read.
    pub async fn list(&self, tenant: &Tenant) -> Result<(Vec<StoredSymbols>, Vec<String>)> {
        let (all, partial) = self.0.symbols().list(tenant).await?;
        Ok((all.into_iter().map(StoredSymbols::from).collect(), partial))
    }

    /// Deletes the symbols of a build. Returns whether there were any. Other archivers may use them for half a minute.
    pub async fn delete(&self, tenant: &Tenant, build_id: &str) -> Result<bool> {
        self.0.symbols().delete(tenant, build_id).await
    }

    /// The builds whose symbols queries of this archive miss from now on; only for the first caller. At most 256 wait.
    pub fn missing(&self) -> Option<mpsc::Receiver<MissingBuild>> {
        self.0.symbols().missing().subscribe()
    }

    /// Makes queries say that the symbols of a build are being fetched, until the result is dropped.
    pub fn fetching(&self, build: &MissingBuild) -> Fetching {
        Fetching::begin(self.0.symbols().missing(), build.clone())
    }
}
