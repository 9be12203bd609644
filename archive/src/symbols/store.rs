//! Stores the symbols of a build.

use super::source::Symbols;
use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::format::symbols::{Encoded, SYMBOLS_VERSION, SymbolTable, SymbolsMeta, encode};
use crate::key::{BuildKey, Tenant};
use bytes::Bytes;
use davy_profile::symbol_index::SymbolIndex;
use futures_util::StreamExt;
use xxhash_rust::xxh3::Xxh3;

/// Symbols that are read concurrently for a list.
const CONCURRENT: usize = 16;
/// Maximum number of builds of a list.
const LISTED: usize = 10_000;

/// Symbols to store.
pub(crate) struct Upload {
    /// Build id.
    pub(crate) build_id: String,
    /// The symbol index.
    pub(crate) index: Bytes,
}

/// The result of an upload.
pub(crate) struct Stored {
    /// What is stored.
    pub(crate) meta: SymbolsMeta,
    /// Whether it was stored before, or more names of the build were.
    pub(crate) was_there: bool,
}

impl Symbols {
    /// Stores the symbols of a build, instead of those that it has, unless those name more functions: a program whose
    /// debug file is not there must not replace what a build server has sent. Returns when they are in the bucket. `grow`
    /// reserves memory for the tables.
    pub(crate) async fn store(
        &self,
        tenant: &Tenant,
        upload: Upload,
        mut grow: impl FnMut(usize) -> Result<()> + Send + 'static,
    ) -> Result<Stored> {
        let Upload { build_id, index } = upload;
        let build = BuildKey::of(&build_id);
        let string = self.0.string;
        let bytes = index.clone();
        let hash = move || content(&bytes, string);
        let content = blocking("hash a symbol index", hash).await?;
        // If it cannot be read, it is written again.
        let before = self.current(tenant, &build).await.ok().flatten();
        let before = before.filter(|meta| meta.build_id == build_id);
        let same = before.as_ref().filter(|meta| meta.content == content);
        if let Some(same) = same {
            return Ok(self.unchanged(tenant, build, same.clone()));
        }
        let encoded = move || {
            let index = SymbolIndex::open(index)
                .map_err(|error| Error::from_source(ErrorKind::Unprocessable, error))?;
            if index.build_id() != build_id {
                return Err(Error::new(
                    ErrorKind::Unprocessable,
                    format!(
                        "the symbol index belongs to build {:?}, but the path names build {build_id:?}; send it to the path of its own build",
                        index.build_id()
                    ),
                ));
            }
            encode(&index, &content, string, &mut grow)
        };
        let Encoded { files, mut meta } = blocking("convert a symbol index", encoded).await??;
        if let Some(richer) = before.filter(|before| before.functions > meta.functions) {
            return Ok(self.unchanged(tenant, build, richer));
        }
        let bucket = &self.0.bucket;
        let mut bytes = 0;
        for (table, file) in files {
            let keys = &bucket.keys;
            let key = keys.symbol_table(tenant, &build, &meta.content, &table.file());
            bytes += file.len() as u64;
            bucket.put(&key, file).await?;
        }
        meta.stored_at = self.0.clock.now().millis();
        let text = serde_json::to_vec(&meta).map_err(Error::corrupt_by)?;
        bytes += text.len() as u64;
        let key = bucket.keys.symbols(tenant, &build);
        bucket.put(&key, Bytes::from(text)).await?;
        self.0.metrics.symbol_bytes.inc_by(bytes);
        self.remember(tenant, build, meta.clone());
        Ok(Stored {
            meta,
            was_there: false,
        })
    }

    fn unchanged(&self, tenant: &Tenant, build: BuildKey, meta: SymbolsMeta) -> Stored {
        self.remember(tenant, build, meta.clone());
        Stored {
            meta,
            was_there: true,
        }
    }

    /// The symbols of a build.
    pub(crate) async fn get(&self, tenant: &Tenant, build_id: &str) -> Result<Option<SymbolsMeta>> {
        let build = BuildKey::of(build_id);
        let meta = self.current(tenant, &build).await?;
        let meta = meta.filter(|meta| meta.build_id == build_id);
        if let Some(meta) = &meta {
            self.remember(tenant, build, meta.clone());
        }
        Ok(meta)
    }

    /// Deletes the symbols of a build, the object that makes them exist first. Returns whether there were any.
    pub(crate) async fn delete(&self, tenant: &Tenant, build_id: &str) -> Result<bool> {
        let build = BuildKey::of(build_id);
        let meta = self.current(tenant, &build).await?;
        let Some(meta) = meta.filter(|meta| meta.build_id == build_id) else {
            return Ok(false);
        };
        let bucket = &self.0.bucket;
        bucket.delete(&bucket.keys.symbols(tenant, &build)).await?;
        for table in SymbolTable::ALL {
            let keys = &bucket.keys;
            let key = keys.symbol_table(tenant, &build, &meta.content, &table.file());
            bucket.delete(&key).await?;
        }
        self.forget(tenant, &build);
        Ok(true)
    }

    /// The symbols of all builds of a tenant, sorted by build id, and a sentence for what is left out.
    pub(crate) async fn list(&self, tenant: &Tenant) -> Result<(Vec<SymbolsMeta>, Vec<String>)> {
        let bucket = &self.0.bucket;
        let mut builds = bucket.folders(&bucket.keys.all_symbols(tenant)).await?;
        let mut faults = Vec::new();
        if builds.len() > LISTED {
            faults.push(format!(
                "only {LISTED} of {} builds are listed",
                builds.len()
            ));
            builds.truncate(LISTED);
        }
        let read = builds.into_iter().map(|build| async move {
            let build = BuildKey::from_key(&build);
            self.current(tenant, &build).await
        });
        let mut read = futures_util::stream::iter(read).buffered(CONCURRENT);
        let mut all = Vec::new();
        while let Some(meta) = read.next().await {
            match meta {
                Ok(meta) => all.extend(meta),
                Err(error) => faults.push(error.message),
            }
        }
        all.sort_by(|a: &SymbolsMeta, b| a.build_id.cmp(&b.build_id));
        Ok((all, faults))
    }
}

/// The folder of the tables: the hash of everything that they are made from, so that archivers that write the same
/// folder write identical bytes.
fn content(index: &[u8], string: usize) -> String {
    let mut hash = Xxh3::new();
    let version = env!("CARGO_PKG_VERSION");
    let facts = format!("{SYMBOLS_VERSION}\n{version}\n{string}\n");
    hash.update(facts.as_bytes());
    hash.update(index);
    format!("{:032x}", hash.digest128())
}
