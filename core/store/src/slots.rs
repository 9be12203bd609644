//! Limits on requests at once that hold across the fleet.

use crate::args::args;
use crate::{Error, Store};

impl Store {
    /// Takes one of `limit` slots of an operation for the request `id` of `process`, until `until`
    /// (milliseconds since 1970 UTC) at the longest. False if all are taken. Slots whose time is over
    /// at `now` are free. A request that has a slot keeps it and gets the new time.
    ///
    /// Two who ask for the last slot at once do not both get it: SQLite lets one transaction write
    /// at a time, and Postgres is asked for a lock on the operation first. It counts only once it has
    /// that lock, by a statement of its own, which sees everything that the holder before has
    /// committed.
    pub async fn take_slot(
        &self,
        op: &str,
        limit: u32,
        id: &str,
        process: &str,
        now: i64,
        until: i64,
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
        transaction
            .execute(
                "DELETE FROM slots WHERE op = $1 AND until <= $2",
                args![op, now],
            )
            .await?;
        let rows = transaction
            .execute(
                "INSERT INTO slots (op, id, process, until)
                 SELECT $1, $2, $3, $4
                 WHERE (SELECT COUNT(*) FROM slots WHERE op = $1 AND id <> $2) < $5
                 ON CONFLICT (op, id) DO UPDATE SET until = excluded.until",
                args![op, id, process, until, limit],
            )
            .await?;
        transaction.commit().await?;
        Ok(rows > 0)
    }

    /// Gives a slot back. Nothing happens if its time was over already.
    pub async fn give_slot(&self, op: &str, id: &str) -> Result<(), Error> {
        self.session()
            .await?
            .execute("DELETE FROM slots WHERE op = $1 AND id = $2", args![op, id])
            .await?;
        Ok(())
    }

    /// How many slots of each operation are taken at `now` (milliseconds since 1970 UTC), by
    /// operation.
    pub async fn slots(&self, now: i64) -> Result<Vec<(String, i64)>, Error> {
        self.session()
            .await?
            .all(
                "SELECT op, COUNT(*) FROM slots WHERE until > $1 GROUP BY op ORDER BY op",
                args![now],
            )
            .await
    }
}
