//! From debug files to stored symbols.

use crate::service::DebugFiles;
use crate::spool::SpoolFile;
use bytes::Bytes;
use davy_archive::ingest::StoredSymbols;
use davy_archive::key::Tenant;
use davy_archive::{Error, ErrorKind, Result};
use davy_profile::units;
use davy_profiler::build_symbol_index_in_child;
use std::path::PathBuf;

/// Files of a build.
pub(crate) struct BuildFiles {
    /// The executable or library, or a debug file that has the code, too.
    pub(crate) program: SpoolFile,
    /// The file with the debug information, if it is another one.
    pub(crate) debug: Option<SpoolFile>,
    /// The name of the program.
    pub(crate) name: String,
}

impl DebugFiles {
    /// Indexes the files of a build in a child process, and stores the symbols. One after another, because each can take
    /// gigabytes of memory.
    pub(crate) async fn store(
        &self,
        tenant: &Tenant,
        build_id: &str,
        files: BuildFiles,
    ) -> Result<StoredSymbols> {
        let shared = &self.0;
        let stopping = |_| Error::new(ErrorKind::Unavailable, "the archiver is stopping; retry");
        let _permit = shared.indexer.acquire().await.map_err(stopping)?;
        let (output, file) = shared.spool.create()?;
        let (id, limit) = (build_id.to_owned(), shared.symbols.index_bytes_max());
        let index = davy_tag::spawn_blocking(move || index(&files, &output, file, &id, limit));
        let index = index.await.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "cannot index a debug file", error)
        })??;
        shared.symbols.store(tenant, build_id, index).await
    }
}

fn index(
    files: &BuildFiles,
    output: &SpoolFile,
    file: std::fs::File,
    build_id: &str,
    limit: usize,
) -> Result<Bytes> {
    let debug: Option<PathBuf> = files.debug.as_ref().map(|file| file.path.clone());
    build_symbol_index_in_child(&files.program.path, debug.as_deref(), &files.name, file).map_err(
        |error| {
            let context = format!("cannot read the symbols of build {build_id}");
            Error::caused(ErrorKind::Unprocessable, context, error)
        },
    )?;
    let unread = |error| Error::caused(ErrorKind::Unavailable, "cannot read a symbol index", error);
    let bytes = std::fs::metadata(&output.path).map_err(unread)?.len();
    if bytes > limit as u64 {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the symbols of build {build_id} have {}, the limit of this archiver is {}: three quarters of archive.buffer_bytes, at most 256 MiB",
                units::bytes(bytes as f64),
                units::bytes(limit as f64)
            ),
        ));
    }
    let index = std::fs::read(&output.path).map_err(unread)?;
    Ok(index.into())
}
