//! A bucket whose writes stop at some point, and in which something happens before a read.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

type Event = BoxFuture<'static, ()>;

pub(crate) struct Hooked {
    inner: Arc<dyn ObjectStore>,
    /// Writes that succeed before all others fail.
    pub(crate) writes: AtomicUsize,
    /// An event before a read, and the number of reads before it.
    event: Mutex<Option<(usize, Event)>>,
}

impl Hooked {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            writes: AtomicUsize::new(usize::MAX),
            event: Mutex::default(),
        }
    }

    pub(crate) fn before_read(&self, number: usize, event: Event) {
        *self.event.lock().expect("no panic") = Some((number, event));
    }

    fn write(&self) -> Result<()> {
        let left = |left: usize| left.checked_sub(1);
        match self
            .writes
            .try_update(Ordering::SeqCst, Ordering::SeqCst, left)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(object_store::Error::Generic {
                store: "hooked",
                source: "interrupted".into(),
            }),
        }
    }

    fn due(&self) -> Option<Event> {
        let mut event = self.event.lock().expect("no panic");
        match event.take() {
            Some((0, due)) => Some(due),
            Some((number, later)) => {
                *event = Some((number - 1, later));
                None
            }
            None => None,
        }
    }
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl std::fmt::Display for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

#[async_trait]
impl ObjectStore for Hooked {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.write()?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.write()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(event) = self.due() {
            event.await;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
