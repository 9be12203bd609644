//! Objects that are written part by part, so that they need not fit in memory.

use super::Client;
use crate::fault::Fault;
use crate::meter::RequestKind;
use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, MultipartUpload, ObjectStoreExt};

/// An object that is being written. It exists when [`finish`](Self::finish) has succeeded.
pub struct Upload<'a> {
    client: &'a Client,
    key: Path,
    bytes: u64,
    to: To<'a>,
}

/// How parts are written.
enum To<'a> {
    /// By requests that can be retried.
    Parts(&'a dyn MultipartStore, MultipartId, Vec<PartId>),
    /// To a folder or to memory.
    Local(Box<dyn MultipartUpload>),
}

impl Client {
    /// Size of the parts in which large objects are written, in bytes.
    pub fn part_bytes(&self) -> usize {
        self.options.multipart_bytes
    }

    /// Begins an object. Its parts must have [`part_bytes`](Self::part_bytes), except for the last one.
    pub async fn upload(&self, key: &Path) -> Result<Upload<'_>, Fault> {
        let kind = RequestKind::Put;
        let to = if let Some(store) = &self.bucket.multipart {
            let create = || store.create_multipart(key);
            To::Parts(&**store, self.request(kind, key, 0, create).await?, vec![])
        } else {
            let create = self.bucket.store.put_multipart(key);
            let limit = self.options.attempt_timeout;
            let created = self.attempt(kind, key, limit, create).await;
            To::Local(created.map_err(|(fault, _)| fault)?)
        };
        Ok(Upload {
            client: self,
            key: key.clone(),
            bytes: 0,
            to,
        })
    }
}

impl Upload<'_> {
    /// Writes the next part.
    pub async fn part(&mut self, part: Bytes) -> Result<(), Fault> {
        self.bytes += part.len() as u64;
        match &mut self.to {
            To::Parts(store, id, parts) => {
                let index = parts.len();
                let put = self.client.put_part(*store, &self.key, id, index, part);
                parts.push(put.await?);
                Ok(())
            }
            To::Local(upload) => {
                let limit = self.client.options.timeout;
                let put = upload.put_part(part.into());
                let put = self.client.attempt(RequestKind::Put, &self.key, limit, put);
                put.await.map_err(|(fault, _)| fault)
            }
        }
    }

    /// Makes the object exist.
    pub async fn finish(self) -> Result<(), Fault> {
        let Self {
            client,
            key,
            bytes,
            to,
        } = self;
        let finished = match to {
            To::Parts(store, id, parts) => client.complete(store, &key, &id, parts, bytes).await,
            To::Local(mut upload) => {
                let limit = client.options.timeout;
                let complete = upload.complete();
                let complete = client.attempt(RequestKind::Put, &key, limit, complete);
                complete.await.map(drop).map_err(|(fault, _)| fault)
            }
        };
        client.record_put(&key, bytes, finished)
    }

    /// Aborts the upload. If this fails, the remaining parts only cost space.
    pub async fn abort(self) {
        let (client, key) = (self.client, &self.key);
        match self.to {
            To::Parts(store, id, _) => {
                let abort = || store.abort_multipart(key, &id);
                let _ = client.request(RequestKind::Delete, key, 0, abort).await;
            }
            To::Local(mut upload) => {
                let limit = client.options.attempt_timeout;
                let abort = upload.abort();
                let _ = client.attempt(RequestKind::Delete, key, limit, abort).await;
            }
        }
    }
}
