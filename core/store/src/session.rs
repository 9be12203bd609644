//! A pooled connection in use by one caller, within one member's budget.

use crate::args::Value;
use crate::pool::Pool;
use crate::stats::Owner;
use crate::store::Inner;
use crate::{Error, Store};
use davy_base::timer::Elapsed;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Postgres, SqlSafeStr, Sqlite};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Time limit of a query. Postgres cancels a slow statement two seconds earlier, with an error that
/// says why; this limit is for a server that does not respond at all.
const QUERY_MAX: Duration = Duration::from_secs(10);

/// A row that can be decoded from either database.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

#[derive(Debug)]
enum Raw {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A connection taken from the pool.
///
/// Dropping the session returns the connection to the pool if it is idle. If a query or a transaction
/// is unfinished, because the caller was cancelled or returned early, the connection is closed
/// instead: the database rolls back, and no later caller reads the rest of an old response.
#[derive(Debug)]
pub(crate) struct Session {
    raw: Option<Raw>,
    is_dirty: bool,
    is_in_transaction: bool,
    owner: Owner,
    inner: Arc<Inner>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// A connection for single statements, within this handle's budget.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        let tag = davy_tag::current();
        let member = match &*self.budget.member {
            "" => tag.member(),
            member => member,
        };
        let owner = (member.to_owned(), tag.op());
        let started = self.inner.clock.monotonic();
        let result = async {
            let permit = self.budget.take().await?;
            Ok((Raw::take(&self.inner).await?, permit))
        }
        .await;
        let waited = self.inner.clock.monotonic().saturating_sub(started);
        self.inner.meter.wait(&owner, waited, result.is_err());
        let (raw, permit) = result?;
        Ok(Session::new(raw, owner, &self.inner, Some(permit)))
    }

    /// A connection with an open read-write transaction, which is rolled back unless it is committed.
    ///
    /// SQLite runs one such transaction at a time, over all processes. Postgres runs them
    /// concurrently; the arguments about races in this crate assume READ COMMITTED, so the isolation
    /// level is set explicitly.
    pub(crate) async fn begin(&self) -> Result<Session, Error> {
        let mut session = self.session().await?;
        let begin = match session.raw {
            Some(Raw::Postgres(_)) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            _ => "BEGIN IMMEDIATE",
        };
        session.execute(begin, &[]).await?;
        session.is_in_transaction = true;
        Ok(session)
    }

    /// A connection outside all budgets, for [`Store::ping`].
    pub(crate) async fn session_outside_budgets(&self) -> Result<Session, Error> {
        let raw = Raw::take(&self.inner).await?;
        Ok(Session::new(
            raw,
            (String::new(), "ping"),
            &self.inner,
            None,
        ))
    }
}

impl Raw {
    async fn take(inner: &Inner) -> Result<Self, Error> {
        let failed = |error| Error::of_opening(&inner.name, error);
        match &inner.pool {
            Pool::Sqlite(pool) => pool.acquire().await.map(Self::Sqlite).map_err(failed),
            Pool::Postgres(pool) => pool.acquire().await.map(Self::Postgres).map_err(failed),
        }
    }
}

/// Binds the arguments to a query.
macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for value in $args {
            query = match *value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Session {
    fn new(
        raw: Raw,
        owner: Owner,
        inner: &Arc<Inner>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            raw: Some(raw),
            is_dirty: false,
            is_in_transaction: false,
            owner,
            inner: Arc::clone(inner),
            _permit: permit,
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.raw, Some(Raw::Postgres(_)))
    }

    /// The database's clock in milliseconds since 1970 UTC, as an SQL expression. Within one statement
    /// on SQLite it is constant; on Postgres it advances.
    ///
    /// Rows that processes share are compared with this clock only, never with that of a host.
    pub(crate) fn now_sql(&self) -> &'static str {
        if self.is_postgres() {
            "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT"
        } else {
            "CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)"
        }
    }

    /// Runs a statement; returns the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<u64, Error> {
        let sql = sql.into_sql_str();
        let started = self.start(args)?;
        let clock = &self.inner.clock;
        let response = match &mut self.raw {
            Some(Raw::Sqlite(connection)) => {
                let query = bound!(sqlx::query(sql), args).execute(&mut **connection);
                let done = clock.timeout(QUERY_MAX, query).await;
                done.map(|done| done.map(|done| done.rows_affected()))
            }
            Some(Raw::Postgres(connection)) => {
                let query = bound!(sqlx::query(sql), args).execute(&mut **connection);
                let done = clock.timeout(QUERY_MAX, query).await;
                done.map(|done| done.map(|done| done.rows_affected()))
            }
            None => Ok(Err(sqlx::Error::PoolClosed)),
        };
        self.end(started, response)
    }

    /// All rows of a query.
    pub(crate) async fn all<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, Error> {
        let sql = sql.into_sql_str();
        let started = self.start(args)?;
        let clock = &self.inner.clock;
        let response = match &mut self.raw {
            Some(Raw::Sqlite(connection)) => {
                let query = bound!(sqlx::query_as::<Sqlite, T>(sql), args);
                clock
                    .timeout(QUERY_MAX, query.fetch_all(&mut **connection))
                    .await
            }
            Some(Raw::Postgres(connection)) => {
                let query = bound!(sqlx::query_as::<Postgres, T>(sql), args);
                clock
                    .timeout(QUERY_MAX, query.fetch_all(&mut **connection))
                    .await
            }
            None => Ok(Err(sqlx::Error::PoolClosed)),
        };
        self.end(started, response)
    }

    /// The row of a query that returns at most one.
    pub(crate) async fn optional<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        Ok(self.all(sql, args).await?.into_iter().next())
    }

    /// The row of a query that always returns one.
    pub(crate) async fn one<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<T, Error> {
        self.optional(sql, args)
            .await?
            .ok_or(Error::Query(sqlx::Error::RowNotFound))
    }

    /// Commits the transaction.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.execute("COMMIT", &[]).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Marks the connection as dirty until the response is complete.
    fn start(&mut self, args: &[Value<'_>]) -> Result<Duration, Error> {
        reject_zero_bytes(args)?;
        self.is_dirty = true;
        Ok(self.inner.clock.monotonic())
    }

    fn end<T>(
        &mut self,
        started: Duration,
        response: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, Error> {
        let result = match response {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Error::of_query(&self.inner.name, error)),
            Err(_) => Err(Error::Timeout {
                database: self.inner.name.clone(),
                seconds: QUERY_MAX.as_secs(),
            }),
        };
        self.is_dirty = result.as_ref().is_err_and(Error::is_transient);
        let time = self.inner.clock.monotonic().saturating_sub(started);
        self.inner.meter.query(&self.owner, time, result.is_err());
        result
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_dirty || self.is_in_transaction {
            match self.raw.take() {
                Some(Raw::Sqlite(connection)) => drop(connection.detach()),
                Some(Raw::Postgres(connection)) => drop(connection.detach()),
                None => {}
            }
        }
    }
}

/// Postgres cannot store zero bytes in a text. They are rejected on SQLite too, so that both databases
/// behave alike.
fn reject_zero_bytes(args: &[Value<'_>]) -> Result<(), Error> {
    for value in args {
        if let Value::Text(Some(text)) = value
            && let Some(at) = text.bytes().position(|byte| byte == 0)
        {
            return Err(Error::ZeroByte { at });
        }
    }
    Ok(())
}

/// A duration as an argument of a query.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
