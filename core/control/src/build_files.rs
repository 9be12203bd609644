//! Inputs and outputs of builds, in the bucket or the database.

use crate::objects::BuildObjects;
use crate::problem::{Problem, failed};
use axum::body::Bytes;
use axum::http::StatusCode;
use davy_model::name;
use davy_store::{FileBytes, FileKind, Store};

/// The size of part of a file, at most.
const PART_BYTES_MAX: usize = 512 << 10;

/// Inputs and outputs of builds.
pub(crate) struct BuildFiles<'a> {
    store: &'a Store,
    objects: Option<&'a BuildObjects>,
}

fn too_large(what: &str, limit: i64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("{what} exceeds {limit} bytes"),
    )
}

impl<'a> BuildFiles<'a> {
    pub(crate) const fn new(store: &'a Store, objects: Option<&'a BuildObjects>) -> Self {
        Self { store, objects }
    }

    /// Stores part of a file.
    pub(crate) async fn put(
        &self,
        build: i64,
        kind: FileKind,
        name: &str,
        part: i64,
        bytes: Bytes,
    ) -> Result<(), Problem> {
        name::check("name", name).map_err(|error| Problem::bad_request(error.to_string()))?;
        if bytes.len() > PART_BYTES_MAX {
            return Err(too_large("part of a file", PART_BYTES_MAX as i64));
        }
        let size = bytes.len() as i64;
        let object = format!("{build}/{}/{name}/{part:06}-{size}", kind.as_str());
        let stored = if let Some(objects) = self.objects {
            let marked = self.store.has_objects(build).await;
            marked.map_err(failed("builds"))?;
            objects.put(&object, bytes).await?;
            let bytes = FileBytes::Object {
                name: &object,
                size,
            };
            self.store
                .put_file_part(build, kind, name, part, bytes)
                .await
        } else {
            let bytes = FileBytes::Row(&bytes);
            self.store
                .put_file_part(build, kind, name, part, bytes)
                .await
        };
        if stored.map_err(failed("files"))? {
            return Ok(());
        }
        Err(too_large(
            "the inputs and outputs of a build together",
            davy_store::FILE_BYTES_MAX,
        ))
    }

    /// Part of a file; empty after the last one.
    pub(crate) async fn get(
        &self,
        build: i64,
        kind: FileKind,
        name: &str,
        part: i64,
    ) -> Result<Bytes, Problem> {
        let read = self.store.file_part(build, kind, name, part).await;
        let Some(part) = read.map_err(failed("files"))? else {
            return Ok(Bytes::new());
        };
        match (part.object, self.objects) {
            (None, _) => Ok(part.bytes.into()),
            (Some(object), Some(objects)) => objects.get(&object).await,
            (Some(object), None) => Err(no_bucket(&object)),
        }
    }
}

/// The error of a process that cannot read what another one has written.
pub(crate) fn no_bucket(object: &str) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "object {object} is in a bucket that this process does not use; give all processes the same bucket.url"
        ),
    )
}
