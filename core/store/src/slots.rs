//! Limits on concurrent requests that hold across the fleet.
//!
//! Slots expire by the database's clock: a host whose own clock is wrong neither frees the live slots
//! of other hosts nor keeps expired ones.

use crate::args::args;
use crate::session::millis;
use crate::{Error, Store};
use sqlx::AssertSqlSafe;
use std::time::Duration;

impl Store {
    /// Takes one of the `limit` slots of an operation for the request `id` of `process`. Returns
    /// false if all are taken. The slot is free again when it is released or `hold` has passed,
    /// whichever comes first. A request that already has a slot keeps it for another `hold`.
    ///
    /// Two concurrent requests never both get the last slot: SQLite runs one writing transaction at a
    /// time; on Postgres the transaction first locks the operation, and it counts the slots in a later
    /// statement, which sees everything that the previous holder of the lock committed.
    pub async fn take_slot(
        &self,
        op: &str,
        limit: u32,
        id: &str,
        process: &str,
        hold: Duration,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        if transaction.is_postgres() {
            transaction
                .execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended('davy slot ' || $1, 0))",
                    args![op],
                )
                .await?;
        }
        let now = transaction.now_sql();
        transaction
            .execute(
                AssertSqlSafe(format!(
                    "DELETE FROM slots WHERE op = $1 AND until <= {now}"
                )),
                args![op],
            )
            .await?;
        let rows = transaction
            .execute(
                AssertSqlSafe(format!(
                    "INSERT INTO slots (op, id, process, until)
                     SELECT $1, $2, $3, {now} + $4
                     WHERE (SELECT COUNT(*) FROM slots WHERE op = $1 AND id <> $2) < $5
                     ON CONFLICT (op, id) DO UPDATE SET until = excluded.until"
                )),
                args![op, id, process, millis(hold), limit],
            )
            .await?;
        transaction.commit().await?;
        Ok(rows > 0)
    }

    /// Releases a slot. Does nothing if it has expired and was taken by another request.
    pub async fn release_slot(&self, op: &str, id: &str) -> Result<(), Error> {
        self.session()
            .await?
            .execute("DELETE FROM slots WHERE op = $1 AND id = $2", args![op, id])
            .await?;
        Ok(())
    }

    /// The number of taken slots by operation, in the order of the operations' names.
    pub async fn slots(&self) -> Result<Vec<(String, i64)>, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        session
            .all(
                AssertSqlSafe(format!(
                    "SELECT op, COUNT(*) FROM slots WHERE until > {now} GROUP BY op ORDER BY op"
                )),
                args![],
            )
            .await
    }
}
