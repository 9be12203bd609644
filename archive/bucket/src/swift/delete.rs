//! Deletion: many objects by one request where the object store can, and the parts of large objects with them.

use super::container::{Swift, quoted};
use super::session::{Request, header, transport};
use crate::fault::{FaultKind, Stated};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use object_store::path::Path;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Objects of one request; Swift's default maximum is 10,000.
const BATCH: usize = 1_000;
/// Concurrent requests where there is no bulk deletion.
const CONCURRENT: usize = 8;

/// The response to a bulk deletion.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Response Status")]
    status: String,
    #[serde(rename = "Errors", default)]
    errors: Vec<(String, String)>,
}

/// The common prefix of all paths up to a `/`, or the only path.
fn shared_start(paths: &[Path]) -> &str {
    let Some(first) = paths.first() else {
        return "";
    };
    let mut length = first.as_ref().len();
    for path in paths {
        let same = first.as_ref().bytes().zip(path.as_ref().bytes());
        length = length.min(same.take_while(|(a, b)| a == b).count());
    }
    match paths {
        [_] => first.as_ref(),
        _ => first.as_ref().get(..length).map_or("", |start| {
            start.rfind('/').map_or("", |end| &start[..=end])
        }),
    }
}

/// Paths of large objects, and the others.
fn split(paths: Vec<Path>, parts: &[String]) -> (Vec<Path>, Vec<Path>) {
    // `PATH/UPLOAD/INDEX`.
    let owners: BTreeSet<&str> = parts
        .iter()
        .filter_map(|name| Some(name.rsplit_once('/')?.0.rsplit_once('/')?.0))
        .collect();
    paths
        .into_iter()
        .partition(|path| owners.contains(path.as_ref()))
}

impl Swift {
    pub(super) fn delete_all(
        self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        locations
            .try_chunks(BATCH)
            .map_err(|error| error.1)
            .and_then(move |paths| {
                let swift = self.clone();
                async move { Ok(stream::iter(swift.delete_batch(paths).await)) }
            })
            .try_flatten()
            .boxed()
    }

    /// Deletes some objects; one result for each.
    async fn delete_batch(&self, paths: Vec<Path>) -> Vec<object_store::Result<Path>> {
        let parts = match self.parts_below(shared_start(&paths)).await {
            Ok(parts) => parts,
            Err(error) => return vec![Err(error)],
        };
        let (large, small) = split(paths, &parts);
        let mut results = Vec::new();
        let mut single: Vec<(Path, bool)> = large.into_iter().map(|path| (path, true)).collect();
        let is_deleted = if small.len() > 1 {
            match self.delete_in_bulk(&small).await {
                Ok(is_deleted) => is_deleted,
                Err(error) => return vec![Err(error)],
            }
        } else {
            false
        };
        if is_deleted {
            results.extend(small.into_iter().map(Ok));
        } else {
            single.extend(small.into_iter().map(|path| (path, false)));
        }
        let deletions = single
            .into_iter()
            .map(|(path, is_large)| self.clone().delete_one(path, is_large));
        results.extend(
            stream::iter(deletions)
                .buffered(CONCURRENT)
                .collect::<Vec<_>>()
                .await,
        );
        results
    }

    async fn delete_one(self, path: Path, is_large: bool) -> object_store::Result<Path> {
        let mut target = self.object(path.as_ref());
        if is_large {
            target += "?multipart-manifest=delete";
        }
        let request = Request::new(Method::DELETE, target).with("accept", "application/json")?;
        let response = self.session.send(request).await?;
        let status = response.status();
        match status {
            // Deleting a large object returns the response of a bulk deletion.
            StatusCode::OK if is_large => {
                let body = response.into_body().bytes().await.map_err(transport)?;
                let answer = read(&body)?;
                failure(&answer).map_or_else(|| Ok(path), Err)
            }
            _ if status.is_success() || status == StatusCode::NOT_FOUND => Ok(path),
            _ => Err(self.refusal(status, &Method::DELETE, path.as_ref())),
        }
    }

    /// Deletes objects by one request; `false` if the object store has no bulk deletion.
    async fn delete_in_bulk(&self, paths: &[Path]) -> object_store::Result<bool> {
        let names: Vec<String> = paths
            .iter()
            .map(|path| self.object(path.as_ref()))
            .collect();
        let mut request = Request::new(Method::POST, "?bulk-delete".to_owned())
            .with("content-type", "text/plain")?
            .with("accept", "application/json")?;
        request.body = names.join("\n").into();
        let response = self.session.send(request).await?;
        let status = response.status();
        let is_json = header(response.headers(), "content-type")
            .is_some_and(|kind| kind.starts_with("application/json"));
        // Without the middleware `bulk` this is a POST of metadata to the account.
        if status != StatusCode::OK || !is_json {
            return match status {
                StatusCode::UNAUTHORIZED => Err(self.refusal(status, &Method::POST, "objects")),
                status if status.is_server_error() => {
                    Err(self.refusal(status, &Method::POST, "objects"))
                }
                _ => Ok(false),
            };
        }
        let body = response.into_body().bytes().await.map_err(transport)?;
        match failure(&read(&body)?) {
            None => Ok(true),
            Some(error) => Err(error),
        }
    }

    /// Deletes parts of large objects.
    pub(super) async fn delete_parts(&self, names: &[String]) -> object_store::Result<()> {
        let container = quoted(&self.parts_container());
        for name in names {
            let request = Request::new(Method::DELETE, format!("/{container}/{}", quoted(name)));
            let status = self.session.send(request).await?.status();
            if !status.is_success() && status != StatusCode::NOT_FOUND {
                return Err(self.refusal(status, &Method::DELETE, name));
            }
        }
        Ok(())
    }
}

fn read(body: &[u8]) -> object_store::Result<Answer> {
    serde_json::from_slice(body).map_err(|error| {
        Stated::error(
            FaultKind::Failed,
            format!("Swift response to a bulk delete is not JSON: {error}"),
        )
    })
}

/// What could not be deleted. An object that does not exist is deleted.
fn failure(answer: &Answer) -> Option<object_store::Error> {
    let failed: Vec<&(String, String)> = answer
        .errors
        .iter()
        .filter(|(_, status)| !status.starts_with("404"))
        .collect();
    let status = match failed.first() {
        Some((_, status)) => status,
        None if answer.status.starts_with("200") || !answer.errors.is_empty() => return None,
        // Nothing was deleted because nothing was there.
        None if answer.status.starts_with("404") => return None,
        None => &answer.status,
    };
    let kind = match status.get(..3) {
        Some("401") => FaultKind::Credentials,
        Some("403") => FaultKind::Forbidden,
        Some("429" | "498" | "503") => FaultKind::Busy,
        _ => FaultKind::Failed,
    };
    let message = match failed.as_slice() {
        [] => format!("Swift could not delete the objects: {status}"),
        [(name, status)] => format!("Swift could not delete {name}: {status}"),
        [(name, status), ..] => format!(
            "Swift could not delete {} objects, among them {name}: {status}",
            failed.len()
        ),
    };
    Some(Stated::error(kind, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<Path> {
        names.iter().map(|name| Path::from(*name)).collect()
    }

    #[test]
    fn common_prefix_is_a_folder_or_the_only_path() {
        let check =
            |names: &[&str], expected: &str| assert_eq!(shared_start(&paths(names)), expected);
        check(&["a/b/c", "a/b/d"], "a/b/");
        check(&["a/bc/x", "a/bd/x"], "a/");
        check(&["a/b"], "a/b");
        check(&["a", "b"], "");
        check(&[], "");
    }

    #[test]
    fn object_is_large_if_it_has_parts() {
        let parts = ["a/b/tx1/00000000".to_owned(), "a/b/tx1/00000001".to_owned()];
        let (large, small) = split(paths(&["a/b", "a/bc", "a"]), &parts);
        assert_eq!((large, small), (paths(&["a/b"]), paths(&["a/bc", "a"])));
    }

    #[test]
    fn only_missing_objects_are_ignored() {
        let check = |json: &str| {
            failure(&read(json.as_bytes()).expect("valid")).map(|error| error.to_string())
        };
        assert_eq!(
            check(r#"{"Response Status": "200 OK", "Errors": []}"#),
            None
        );
        let missing =
            r#"{"Response Status": "400 Bad Request", "Errors": [["/c/a", "404 Not Found"]]}"#;
        assert_eq!(check(missing), None);
        let denied =
            r#"{"Response Status": "400 Bad Request", "Errors": [["/c/a", "403 Forbidden"]]}"#;
        let error = check(denied).expect("a failure");
        assert!(
            error.contains("could not delete /c/a: 403 Forbidden"),
            "{error}"
        );
    }
}
