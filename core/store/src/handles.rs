//! Containers and volumes of workers.

use crate::args::args;
use crate::{Error, Store};
use davy_model::{HandleKind, HandleState};
use serde::Serialize;
use sqlx::AssertSqlSafe;

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
    /// What a container uses by the last report of its worker, as JSON.
    pub figures: Option<String>,
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
        let mut session = self.session().await?;
        // The status of a worker is decoded once, not for each of its containers.
        let (decoded, figures) = if session.is_postgres() {
            (
                "CAST(status AS JSONB) -> 'containers'",
                "s.containers ->> p.handle",
            )
        } else {
            (
                "json_extract(status, '$.containers')",
                "json_extract(s.containers, '$.\"' || p.handle || '\"')",
            )
        };
        session
            .all(
                AssertSqlSafe(format!(
                    "WITH page AS MATERIALIZED (
                        SELECT handle, worker, kind, state, since, missing_since, build, container, parent
                        FROM handles WHERE kind = $1 AND handle > $2 AND ($3 = '' OR worker = $3)
                          AND ($5 = '' OR state = $5)
                        ORDER BY handle LIMIT $4),
                     said AS MATERIALIZED (
                        SELECT name, {decoded} AS containers FROM workers
                        WHERE $1 = 'container' AND name IN (SELECT worker FROM page))
                     SELECT p.*, {figures} AS figures
                     FROM page p LEFT JOIN said s ON s.name = p.worker ORDER BY p.handle"
                )),
                args![kind.as_str(), after, worker, limit, state],
            )
            .await
    }
}
