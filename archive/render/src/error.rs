//! Errors of rendering.

/// Why something was not rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive could not be read or written.
    #[error(transparent)]
    Archive(#[from] davy_archive::Error),
    /// A blocking task panicked or was cancelled.
    #[error("cannot {task}: {source}")]
    Task {
        /// What it did.
        task: &'static str,
        /// Why it ended.
        source: tokio::task::JoinError,
    },
    /// An object could not be read.
    #[error("cannot read {0}: it was deleted; the next round retries")]
    Gone(String),
}

/// The result of rendering.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Runs blocking work outside of the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = davy_tag::spawn_blocking(work).await;
    done.map_err(|source| Error::Task { task, source })
}
