//! Listings, page by page.

use super::container::{Swift, quoted};
use super::session::{Request, refusal, transport};
use crate::fault::{FaultKind, Stated};
use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta};
use serde::Deserialize;

/// An entry of a listing: an object, or with a delimiter a folder.
#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    subdir: Option<String>,
    hash: Option<String>,
    #[serde(default)]
    bytes: u64,
    last_modified: Option<String>,
}

impl Entry {
    fn key(&self) -> &str {
        self.name
            .as_deref()
            .or(self.subdir.as_deref())
            .unwrap_or_default()
    }

    fn meta(&self) -> object_store::Result<ObjectMeta> {
        let modified = self.last_modified.as_deref().and_then(time);
        Ok(ObjectMeta {
            location: Path::parse(self.key())?,
            last_modified: modified.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
            size: self.bytes,
            e_tag: self.hash.clone(),
            version: None,
        })
    }
}

/// `2026-11-29T14:00:00.123450`, in UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .ok()?
            .and_utc(),
    )
}

/// The prefix of the objects in a folder.
fn folder(prefix: Option<&Path>) -> String {
    match prefix {
        Some(prefix) if !prefix.as_ref().is_empty() => format!("{prefix}/"),
        _ => String::new(),
    }
}

struct Query {
    container: String,
    prefix: String,
    delimiter: bool,
    marker: String,
    /// `None`: the object store's maximum, which is then unknown.
    limit: Option<usize>,
    done: bool,
}

impl Swift {
    async fn page(&self, query: &mut Query) -> object_store::Result<Vec<Entry>> {
        let mut target = format!("/{}?format=json", quoted(&query.container));
        if !query.prefix.is_empty() {
            target += &format!("&prefix={}", quoted(&query.prefix));
        }
        if query.delimiter {
            target += "&delimiter=/";
        }
        if !query.marker.is_empty() {
            target += &format!("&marker={}", quoted(&query.marker));
        }
        if let Some(limit) = query.limit {
            target += &format!("&limit={limit}");
        }
        let response = self.session.send(Request::new(Method::GET, target)).await?;
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => {
                query.done = true;
                return Ok(Vec::new());
            }
            // The operator of the object store allows only shorter pages.
            StatusCode::PRECONDITION_FAILED if query.limit.is_some() => {
                query.limit = None;
                return Ok(Vec::new());
            }
            _ => return Err(refusal(status, &Method::GET, None, &query.container)),
        }
        let body = response.into_body().bytes().await.map_err(transport)?;
        let entries: Vec<Entry> = serde_json::from_slice(&body).map_err(|error| {
            Stated::error(
                FaultKind::Failed,
                format!("Swift listing is not JSON: {error}"),
            )
        })?;
        query.done = match query.limit {
            Some(limit) => entries.len() < limit,
            None => entries.is_empty(),
        };
        if let Some(last) = entries.last() {
            last.key().clone_into(&mut query.marker);
        }
        Ok(entries)
    }

    fn query(&self, prefix: String, delimiter: bool, marker: String) -> Query {
        Query {
            container: self.container.to_string(),
            prefix,
            delimiter,
            marker,
            limit: Some(self.page),
            done: false,
        }
    }

    /// Objects below a folder, after a name.
    pub(super) fn list_from(
        self,
        prefix: Option<&Path>,
        after: Option<&Path>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let marker = after.map(ToString::to_string).unwrap_or_default();
        let query = self.query(folder(prefix), false, marker);
        let pages = stream::try_unfold((self, query), |(swift, mut query)| async move {
            if query.done {
                return Ok(None);
            }
            let entries = swift.page(&mut query).await?;
            let objects = stream::iter(entries).map(|entry| entry.meta());
            Ok::<_, object_store::Error>(Some((objects, (swift, query))))
        });
        pages.try_flatten().boxed()
    }

    /// Objects and folders in a folder.
    pub(super) async fn list_folder(
        &self,
        prefix: Option<&Path>,
    ) -> object_store::Result<ListResult> {
        let mut query = self.query(folder(prefix), true, String::new());
        let mut result = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
            extensions: http::Extensions::new(),
        };
        while !query.done {
            for entry in self.page(&mut query).await? {
                match &entry.subdir {
                    Some(name) => result.common_prefixes.push(Path::parse(name)?),
                    None => result.objects.push(entry.meta()?),
                }
            }
        }
        Ok(result)
    }

    /// Names below a prefix in the container of the parts; none if it does not exist.
    pub(super) async fn parts_below(&self, prefix: &str) -> object_store::Result<Vec<String>> {
        let mut query = Query {
            container: self.parts_container(),
            ..self.query(prefix.to_owned(), false, String::new())
        };
        let mut names = Vec::new();
        while !query.done {
            match self.page(&mut query).await {
                Ok(entries) => names.extend(entries.iter().map(|entry| entry.key().to_owned())),
                Err(error) if crate::fault::is_missing_bucket(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_listings_are_in_utc() {
        let parsed = time("2026-11-29T14:00:00.250000").expect("valid");
        assert_eq!(parsed.to_rfc3339(), "2026-11-29T14:00:00.250+00:00");
        assert_eq!(time("yesterday"), None);
    }
}
