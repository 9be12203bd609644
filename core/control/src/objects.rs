//! Logs, inputs and outputs of builds as objects in the bucket.
//!
//! ```text
//! <prefix>/.builds/<build>/log/<position>-<bytes>
//! <prefix>/.builds/<build>/<input|output>/<name>/<part>-<bytes>
//! ```
//!
//! The database has the index. The folder of a build is deleted as a whole before its row is.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::http::StatusCode;
use davy_bucket::{Client, Fault, FaultKind, ObjectPath};
use std::sync::Arc;

/// The folder of all builds; no tenant has such a name.
const FOLDER: &str = ".builds";

/// The objects of builds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BuildObjects(Arc<Client>);

fn unavailable(fault: Fault) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("cannot use the objects of the build: {fault}"),
    )
}

impl BuildObjects {
    /// The objects in a bucket that all processes of the fleet share.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(client))
    }

    fn path(&self, name: &str) -> ObjectPath {
        let prefix = &self.0.bucket().url.prefix;
        ObjectPath::from(format!("{prefix}/{FOLDER}/{name}"))
    }

    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Problem> {
        self.0
            .put(&self.path(name), bytes)
            .await
            .map_err(unavailable)
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Bytes, Problem> {
        let got = self.0.get(&self.path(name)).await;
        got.map_err(|fault| match fault.kind {
            FaultKind::NotFound => Problem::new(
                StatusCode::GONE,
                format!("object {name} is missing in the bucket"),
            ),
            _ => unavailable(fault),
        })
    }

    /// Deletes all objects of a build.
    pub(crate) async fn delete(&self, build: i64) -> Result<(), Fault> {
        let listed = self.0.list(&self.path(&build.to_string())).await?;
        let paths: Vec<ObjectPath> = listed.into_iter().map(|object| object.location).collect();
        self.0.delete_many(&paths).await
    }
}
