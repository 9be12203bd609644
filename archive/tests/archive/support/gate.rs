//! A bucket whose reads wait until a test lets them pass.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Holds back reads of objects whose keys contain a text.
#[derive(Debug)]
pub(crate) struct Gate {
    store: InMemory,
    held: &'static str,
    is_open: watch::Sender<bool>,
    waiting: AtomicUsize,
}

/// A read that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    /// An open gate.
    pub(crate) fn new(held: &'static str) -> Arc<Self> {
        Arc::new(Self {
            store: InMemory::new(),
            held,
            is_open: watch::Sender::new(true),
            waiting: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.send_replace(is_open);
    }

    /// Number of reads that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gate")
    }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(&self, to: &Path, bytes: PutPayload, of: PutOptions) -> Result<PutResult> {
        self.store.put_opts(to, bytes, of).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        of: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(to, of).await
    }

    async fn get_opts(&self, key: &Path, of: GetOptions) -> Result<GetResult> {
        if key.as_ref().contains(self.held) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(&self.waiting);
            let opened = self
                .is_open
                .subscribe()
                .wait_for(|is_open| *is_open)
                .await
                .is_ok();
            assert!(opened, "the sender is in the gate");
        }
        self.store.get_opts(key, of).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(keys)
    }

    fn list(&self, folder: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(folder)
    }

    async fn list_with_delimiter(&self, folder: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(folder).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, of: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, of).await
    }
}
