//! Saved views of profiles: links with a title and a note.

use crate::args::args;
use crate::{Error, Store};
use serde::Serialize;
use sqlx::AssertSqlSafe;

/// A view to be saved by [`Store::add_view`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewView {
    /// Its id, which orders views by age.
    pub id: String,
    /// The tenant that sees it.
    pub tenant: String,
    /// The title.
    pub title: String,
    /// What it shows; may be empty.
    pub note: String,
    /// The address, relative to the first page.
    pub link: String,
    /// Who saved it.
    pub operator: String,
}

/// A row of `views`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ViewRow {
    /// Its id.
    pub id: String,
    /// The title.
    pub title: String,
    /// What it shows; may be empty.
    pub note: String,
    /// The address, relative to the first page.
    pub link: String,
    /// Who saved it.
    pub operator: String,
    /// When it was saved, in milliseconds since 1970 UTC.
    pub at: i64,
}

impl Store {
    /// Saves a view unless the tenant has `max` of them; returns whether it was saved.
    pub async fn add_view(&self, view: &NewView, max: u32) -> Result<bool, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let saved = session
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO views (id, tenant, title, note, link, operator, at)
                     SELECT $1, $2, $3, $4, $5, $6, {now}
                     WHERE (SELECT count(*) FROM views WHERE tenant = $2) < $7"
                )),
                args![
                    &view.id,
                    &view.tenant,
                    &view.title,
                    &view.note,
                    &view.link,
                    &view.operator,
                    max
                ],
            )
            .await?;
        Ok(saved > 0)
    }

    /// The latest views of a tenant, newest first.
    pub async fn views(&self, tenant: &str, limit: u32) -> Result<Vec<ViewRow>, Error> {
        self.session()
            .await?
            .all(
                "SELECT id, title, note, link, operator, at FROM views
                 WHERE tenant = $1 ORDER BY id DESC LIMIT $2",
                args![tenant, limit],
            )
            .await
    }

    /// Deletes a view of a tenant; returns its title, or `None` if it does not exist.
    pub async fn delete_view(&self, tenant: &str, id: &str) -> Result<Option<String>, Error> {
        let mut session = self.session().await?;
        let titles: Vec<(String,)> = session
            .all(
                "DELETE FROM views WHERE tenant = $1 AND id = $2 RETURNING title",
                args![tenant, id],
            )
            .await?;
        Ok(titles.into_iter().next().map(|(title,)| title))
    }
}
