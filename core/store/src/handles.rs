//! Containers and volumes of workers.

use crate::args::args;
use crate::{Error, Store};
use davy_model::{HandleKind, HandleState};
use serde::Serialize;

/// A container or volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct HandleRow {
    /// Its name, unique in the fleet.
    pub handle: String,
    /// Its worker.
    pub worker: String,
    /// `container` or `volume`.
    pub kind: String,
    /// Its state, as `davy_model::HandleState`.
    pub state: String,
    /// When it entered the state.
    pub since: i64,
    /// The first report without it since the last one with it.
    pub missing_since: Option<i64>,
    /// The build of a container.
    pub build: Option<i64>,
    /// The container that uses a volume.
    pub container: Option<String>,
    /// The volume that a volume is a copy of.
    pub parent: Option<String>,
}

impl Store {
    /// Containers or volumes after a handle, sorted by handle; of one worker if `worker` is not empty.
    pub async fn handles(
        &self,
        kind: HandleKind,
        worker: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<HandleRow>, Error> {
        self.handles_in(kind, None, worker, after, limit).await
    }

    /// Like [`Store::handles`], of those in a state.
    pub async fn handles_in(
        &self,
        kind: HandleKind,
        state: Option<HandleState>,
        worker: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<HandleRow>, Error> {
        let state = state.map_or("", HandleState::as_str);
        self.session()
            .await?
            .all(
                "SELECT handle, worker, kind, state, since, missing_since, build, container, parent
                 FROM handles WHERE kind = $1 AND handle > $2 AND ($3 = '' OR worker = $3)
                   AND ($5 = '' OR state = $5)
                 ORDER BY handle LIMIT $4",
                args![kind.as_str(), after, worker, limit, state],
            )
            .await
    }
}
