//! Large objects, in parts.

use super::Client;
use crate::fault::{Fault, FaultKind};
use crate::meter::RequestKind;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;

/// Parts in flight.
const CONCURRENT: usize = 4;

impl Client {
    /// Writes an object in parts. Either the whole object exists afterwards, or none of it.
    pub(super) async fn put_large(
        &self,
        store: &dyn MultipartStore,
        key: &Path,
        bytes: Bytes,
    ) -> Result<(), Fault> {
        let kind = RequestKind::Put;
        let id = self
            .request(kind, key, 0, || store.create_multipart(key))
            .await?;
        let written = self.put_parts(store, key, &id, &bytes).await;
        if written.is_err() {
            // Parts that remain only cost space; the lifecycle rule for incomplete uploads removes them.
            let _ = self
                .request(RequestKind::Delete, key, 0, || {
                    store.abort_multipart(key, &id)
                })
                .await;
        }
        written
    }

    async fn put_parts(
        &self,
        store: &dyn MultipartStore,
        key: &Path,
        id: &String,
        bytes: &Bytes,
    ) -> Result<(), Fault> {
        let size = self.options.multipart_bytes;
        let count = bytes.len().div_ceil(size);
        let parts = (0..count).map(|index| {
            let part = bytes.slice(index * size..bytes.len().min((index + 1) * size));
            self.put_part(store, key, id, index, part)
        });
        let parts: Vec<PartId> = stream::iter(parts)
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        self.complete(store, key, id, parts, bytes.len() as u64)
            .await
    }

    /// Completes an object of `bytes` bytes from its parts.
    pub(super) async fn complete(
        &self,
        store: &dyn MultipartStore,
        key: &Path,
        id: &String,
        parts: Vec<PartId>,
        bytes: u64,
    ) -> Result<(), Fault> {
        let complete = || store.complete_multipart(key, id, parts.clone());
        match self.request(RequestKind::Put, key, bytes, complete).await {
            Ok(_) => Ok(()),
            // The response to an earlier attempt may have been lost: then the upload does not exist any more, but the
            // object does.
            Err(fault) if matches!(fault.kind, FaultKind::NotFound | FaultKind::Refused) => {
                match self.head(key).await {
                    Ok(meta) if meta.size == bytes => Ok(()),
                    _ => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn put_part(
        &self,
        store: &dyn MultipartStore,
        key: &Path,
        id: &String,
        index: usize,
        part: Bytes,
    ) -> Result<PartId, Fault> {
        let size = part.len() as u64;
        let put = || store.put_part(key, id, index, part.clone().into());
        self.request(RequestKind::Put, key, size, put).await
    }
}
