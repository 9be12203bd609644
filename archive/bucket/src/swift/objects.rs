//! Single objects.

use super::container::Swift;
use super::session::{Request, header, refusal, transport};
use super::sum::{Sum, md5_of};
use crate::fault::{FaultKind, Stated};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, Method, StatusCode};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult,
};
use std::ops::Range;

/// The attribute that makes Swift delete an object by itself: seconds from now, as metadata.
pub(crate) const DELETE_AFTER: &str = "delete-after";
/// The attribute that says when Swift deletes an object by itself: seconds since the epoch, as metadata.
const DELETE_AT: &str = "delete-at";

fn meta(location: &Path, headers: &HeaderMap, size: u64) -> ObjectMeta {
    // Last-Modified has whole seconds only.
    let modified = header(headers, "x-timestamp")
        .and_then(|text| text.parse::<f64>().ok())
        .and_then(|seconds| DateTime::from_timestamp_micros((seconds * 1e6) as i64))
        .unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    ObjectMeta {
        location: location.clone(),
        last_modified: modified,
        size,
        e_tag: header(headers, "etag").map(|tag| tag.trim_matches('"').to_owned()),
        version: None,
    }
}

/// A stream of bytes that ends with an error if their MD5 is not `expected`.
fn verified(
    path: String,
    bytes: BoxStream<'static, object_store::Result<Bytes>>,
    expected: String,
) -> BoxStream<'static, object_store::Result<Bytes>> {
    let state = (bytes, Sum::default(), Some((path, expected)));
    stream::try_unfold(state, |(mut bytes, mut sum, expected)| async move {
        if let Some(piece) = bytes.try_next().await? {
            sum.add(&piece);
            return Ok(Some((piece, (bytes, sum, expected))));
        }
        let Some((path, expected)) = expected else {
            return Ok(None);
        };
        let found = sum.hex();
        if found != expected {
            return Err(Stated::error(
                FaultKind::Damaged,
                format!("{path} arrived damaged: its MD5 is {found} instead of {expected}"),
            ));
        }
        Ok(None)
    })
    .boxed()
}

/// The range of a `Content-Range: bytes 0-9/100`, and the size of the object.
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    Some((
        start.parse().ok()?..last.parse::<u64>().ok()? + 1,
        size.parse().ok()?,
    ))
}

impl Swift {
    pub(super) fn refusal(
        &self,
        status: StatusCode,
        method: &Method,
        path: &str,
    ) -> object_store::Error {
        refusal(status, method, Some(path), &self.container)
    }

    /// Writes an object below the address of the account, and checks the MD5 that Swift computed.
    pub(super) async fn put_bytes(
        &self,
        target: String,
        path: &str,
        bytes: Bytes,
        mut headers: HeaderMap,
    ) -> object_store::Result<String> {
        let sum = md5_of(&bytes);
        let mut request = Request::new(Method::PUT, target).with("etag", &sum)?;
        headers.extend(std::mem::take(&mut request.headers));
        request.headers = headers;
        request.body = bytes;
        let response = self.session.send(request).await?;
        if response.status() != StatusCode::CREATED {
            return Err(self.refusal(response.status(), &Method::PUT, path));
        }
        match header(response.headers(), "etag").map(|tag| tag.trim_matches('"')) {
            Some(stored) if stored != sum => Err(Stated::error(
                FaultKind::Damaged,
                format!("Swift stored {path} with the MD5 {stored} instead of {sum}"),
            )),
            _ => Ok(sum),
        }
    }
}

fn attribute_headers(attributes: &Attributes) -> object_store::Result<HeaderMap> {
    let mut request = Request::new(Method::PUT, String::new());
    for (attribute, value) in attributes {
        request = match attribute {
            Attribute::ContentType => request.with("content-type", value)?,
            Attribute::ContentEncoding => request.with("content-encoding", value)?,
            Attribute::ContentDisposition => request.with("content-disposition", value)?,
            Attribute::Metadata(name) if name == DELETE_AFTER => {
                request.with("x-delete-after", value)?
            }
            other => {
                return Err(object_store::Error::NotSupported {
                    source: format!("Swift has no attribute {other:?}").into(),
                });
            }
        };
    }
    Ok(request.headers)
}

#[async_trait]
impl ObjectStore for Swift {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let mut headers = attribute_headers(&options.attributes)?;
        match options.mode {
            PutMode::Overwrite => {}
            PutMode::Create => {
                headers.insert("if-none-match", http::HeaderValue::from_static("*"));
            }
            PutMode::Update(_) => {
                return Err(object_store::Error::NotSupported {
                    source: "Swift ignores If-Match on PUT".into(),
                });
            }
        }
        let path = location.as_ref();
        let put = self
            .put_bytes(self.object(path), path, payload.into(), headers)
            .await;
        match put {
            Ok(tag) => Ok(PutResult {
                e_tag: Some(tag),
                version: None,
                extensions: http::Extensions::new(),
            }),
            Err(object_store::Error::Precondition { path, source }) => {
                Err(object_store::Error::AlreadyExists { path, source })
            }
            Err(error) => Err(error),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let id = self.create_multipart_opts(location, options).await?;
        Ok(Box::new(super::large::Upload::new(
            self.clone(),
            location.clone(),
            id,
        )))
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let method = if options.head {
            Method::HEAD
        } else {
            Method::GET
        };
        let path = location.as_ref();
        let mut request = Request::new(method.clone(), self.object(path));
        if let Some(range) = &options.range {
            range
                .is_valid()
                .map_err(|error| Stated::error(FaultKind::Refused, error.to_string()))?;
            request = request.with("range", &range.to_string())?;
        }
        for (name, value) in [
            ("if-match", &options.if_match),
            ("if-none-match", &options.if_none_match),
        ] {
            if let Some(value) = value {
                request = request.with(name, value)?;
            }
        }
        for (name, time) in [
            ("if-modified-since", options.if_modified_since),
            ("if-unmodified-since", options.if_unmodified_since),
        ] {
            if let Some(time) = time {
                request =
                    request.with(name, &time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())?;
            }
        }
        let response = self.session.send(request).await?;
        let status = response.status();
        if !matches!(
            status,
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NO_CONTENT
        ) {
            return Err(self.refusal(status, &method, path));
        }
        let (parts, body) = response.into_parts();
        let headers = parts.headers;
        let length = header(&headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        let (range, size) = if status == StatusCode::PARTIAL_CONTENT {
            header(&headers, "content-range")
                .and_then(content_range)
                .ok_or_else(|| {
                    Stated::error(
                        FaultKind::Failed,
                        format!("Swift response to a range request for {path} has no Content-Range header"),
                    )
                })?
        } else {
            let size = length.ok_or_else(|| {
                Stated::error(
                    FaultKind::Failed,
                    format!("Swift response for {path} has no Content-Length header"),
                )
            })?;
            (0..size, size)
        };
        let meta = meta(location, &headers, size);
        let mut bytes = body.bytes_stream().map_err(transport).boxed();
        // The ETag of a large object is not the MD5 of its bytes.
        let is_large = header(&headers, "x-static-large-object").is_some()
            || header(&headers, "x-object-manifest").is_some();
        if let (false, false, StatusCode::OK, Some(tag)) =
            (options.head, is_large, status, &meta.e_tag)
            && tag.len() == 32
        {
            bytes = verified(path.to_owned(), bytes, tag.clone());
        }
        let mut attributes = Attributes::new();
        if let Some(kind) = header(&headers, "content-type") {
            attributes.insert(Attribute::ContentType, kind.to_owned().into());
        }
        if let Some(encoding) = header(&headers, "content-encoding") {
            let encoding = encoding.to_owned().into();
            attributes.insert(Attribute::ContentEncoding, encoding);
        }
        if let Some(time) = header(&headers, "x-delete-at") {
            attributes.insert(
                Attribute::Metadata(DELETE_AT.into()),
                time.to_owned().into(),
            );
        }
        Ok(GetResult {
            payload: GetResultPayload::Stream(bytes),
            meta,
            range,
            attributes,
            extensions: parts.extensions,
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.clone().delete_all(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.clone().list_from(prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.clone().list_from(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.list_folder(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        let mut request = Request::new(Method::PUT, self.object(to.as_ref()))
            .with("x-copy-from", &self.object(from.as_ref()))?;
        if matches!(options.mode, CopyMode::Create) {
            request = request.with("if-none-match", "*")?;
        }
        let response = self.session.send(request).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            // The container exists, as its object `to` is written there; the source does not.
            StatusCode::NOT_FOUND => {
                Err(self.refusal(StatusCode::NOT_FOUND, &Method::GET, from.as_ref()))
            }
            StatusCode::PRECONDITION_FAILED => Err(object_store::Error::AlreadyExists {
                path: to.to_string(),
                source: "Swift returned 412".into(),
            }),
            status => Err(self.refusal(status, &Method::PUT, to.as_ref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_has_an_inclusive_end() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        assert_eq!(content_range("bytes 5-5/6"), Some((5..6, 6)));
        assert_eq!(content_range("bytes */6"), None);
    }

    #[tokio::test]
    async fn damaged_bytes_end_the_stream_with_an_error() {
        let check = async |sum: &str| {
            let bytes =
                stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))]).boxed();
            let read: object_store::Result<Vec<Bytes>> =
                verified("k".to_owned(), bytes, sum.to_owned())
                    .try_collect()
                    .await;
            read.map(|pieces| pieces.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("900150983cd24fb0d6963f7d28e17f72").await, Ok(2));
        let error = check("00000000000000000000000000000000")
            .await
            .expect_err("damaged");
        assert!(error.contains("k arrived damaged"), "{error}");
    }
}
