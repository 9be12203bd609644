//! Large objects: parts in a container of their own, and a manifest in place of the object (static large objects).

use super::container::{Swift, quoted};
use super::session::{Request, header};
use super::sum::md5_of;
use crate::fault::{FaultKind, Stated};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    MultipartId, MultipartUpload, ObjectStoreExt, PutPayload, PutResult, UploadPart,
};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What a part's `content_id` says: `MD5:SIZE`.
fn content_id(sum: &str, size: usize) -> PartId {
    PartId {
        content_id: format!("{sum}:{size}"),
    }
}

impl Swift {
    /// The name of a part in the container of the parts.
    fn part_name(path: &str, id: &str, index: usize) -> String {
        format!("{path}/{id}/{index:08}")
    }
}

#[async_trait]
impl MultipartStore for Swift {
    async fn create_multipart(&self, path: &Path) -> object_store::Result<MultipartId> {
        let container = self.parts_container();
        let request = Request::new(Method::PUT, format!("/{}", quoted(&container)));
        let response = self.session.send(request).await?;
        if !response.status().is_success() {
            return Err(super::session::refusal(
                response.status(),
                &Method::PUT,
                None,
                &container,
            ));
        }
        // Swift gives every response an id of its own, which serves as the id of the upload.
        header(response.headers(), "x-trans-id")
            .map(str::to_owned)
            .ok_or_else(|| {
                Stated::error(
                    FaultKind::Failed,
                    format!("no X-Trans-Id for an upload of {path}"),
                )
            })
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        let name = Self::part_name(path.as_ref(), id, index);
        let target = format!("/{}/{}", quoted(&self.parts_container()), quoted(&name));
        let bytes = Bytes::from(data);
        let size = bytes.len();
        let sum = self
            .put_bytes(target, &name, bytes, HeaderMap::new())
            .await?;
        Ok(content_id(&sum, size))
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        let container = self.parts_container();
        let mut manifest = Vec::new();
        let mut sums = String::new();
        for (index, part) in parts.iter().enumerate() {
            let (sum, size) = part
                .content_id
                .split_once(':')
                .and_then(|(sum, size)| Some((sum, size.parse::<u64>().ok()?)))
                .ok_or_else(|| {
                    Stated::error(
                        FaultKind::Refused,
                        format!("invalid part id {}", part.content_id),
                    )
                })?;
            let name = Self::part_name(path.as_ref(), id, index);
            sums += sum;
            manifest.push(
                json!({"path": format!("/{container}/{name}"), "etag": sum, "size_bytes": size}),
            );
        }
        let expected = md5_of(&Bytes::from(sums));
        let target = format!("{}?multipart-manifest=put", self.object(path.as_ref()));
        let mut request = Request::new(Method::PUT, target);
        request.body = serde_json::Value::Array(manifest).to_string().into();
        let response = self.session.send(request).await?;
        let status = response.status();
        if status != StatusCode::CREATED {
            return Err(self.refusal(status, &Method::PUT, path.as_ref()));
        }
        // Without the middleware `slo`, Swift stores the manifest itself as the object.
        let found = header(response.headers(), "etag").map(|tag| tag.trim_matches('"').to_owned());
        if found.as_deref() != Some(&expected) {
            let _ = self.delete(path).await;
            return Err(Stated::error(
                FaultKind::Refused,
                format!(
                    "Swift did not assemble {path} from its parts; enable the middleware slo in the proxy, or raise \
                     bucket.multipart_bytes above the size of the largest object"
                ),
            ));
        }
        Ok(PutResult {
            e_tag: found,
            version: None,
            extensions: http::Extensions::new(),
        })
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> object_store::Result<()> {
        let names = self.parts_below(&format!("{path}/{id}/")).await?;
        self.delete_parts(&names).await
    }
}

/// An upload for the interface of object_store that numbers the parts itself.
#[derive(Debug)]
pub(super) struct Upload {
    swift: Swift,
    path: Path,
    id: MultipartId,
    count: usize,
    parts: Arc<Mutex<Vec<(usize, PartId)>>>,
}

impl Upload {
    pub(super) fn new(swift: Swift, path: Path, id: MultipartId) -> Self {
        Self {
            swift,
            path,
            id,
            count: 0,
            parts: Arc::default(),
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let index = self.count;
        self.count += 1;
        let (swift, path, id) = (self.swift.clone(), self.path.clone(), self.id.clone());
        let parts = Arc::clone(&self.parts);
        async move {
            let part = MultipartStore::put_part(&swift, &path, &id, index, data).await?;
            parts
                .lock()
                .expect("no panic while it is held")
                .push((index, part));
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let mut parts = std::mem::take(&mut *self.parts.lock().expect("no panic while it is held"));
        parts.sort_by_key(|(index, _)| *index);
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        self.swift
            .complete_multipart(&self.path, &self.id, parts)
            .await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.swift.abort_multipart(&self.path, &self.id).await
    }
}
