//! One connection, used by one caller, on one member's budget.

use crate::args::Value;
use crate::figures::Owner;
use crate::pool::Pool;
use crate::store::Inner;
use crate::{Error, Store};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Postgres, SqlSafeStr, Sqlite};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long a query may take. Postgres itself gives up two seconds earlier and says why; this bound
/// is for a server that says nothing at all.
const QUERY_MAX: Duration = Duration::from_secs(10);

/// A row of either database.
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

/// A connection, on loan.
///
/// It goes back to the pool only if it is known to be clean. One that was dropped in the middle of a
/// query or of a transaction (its caller was cancelled, or returned early) is closed instead; the
/// database then undoes what was not committed, and nobody inherits half an answer.
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
    /// A connection for single statements.
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

    /// A connection in a transaction that may write. It must be committed; else nothing happened.
    ///
    /// SQLite lets one such transaction run at a time, in all processes. Postgres runs them beside
    /// each other, each statement on what was committed before it; the arguments about races in this
    /// crate are made for that level, so it is asked for by name.
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

    /// A connection on nobody's budget, for the question whether the database is there.
    pub(crate) async fn session_beside_budgets(&self) -> Result<Session, Error> {
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

/// Binds the values to the query.
macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for value in $args {
            query = match *value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
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

    /// Runs a statement; gives the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<u64, Error> {
        let sql = sql.into_sql_str();
        let started = self.start(args)?;
        let answer = match &mut self.raw {
            Some(Raw::Sqlite(connection)) => {
                let query = bound!(sqlx::query(sql), args).execute(&mut **connection);
                let done = timeout(QUERY_MAX, query).await;
                done.map(|done| done.map(|done| done.rows_affected()))
            }
            Some(Raw::Postgres(connection)) => {
                let query = bound!(sqlx::query(sql), args).execute(&mut **connection);
                let done = timeout(QUERY_MAX, query).await;
                done.map(|done| done.map(|done| done.rows_affected()))
            }
            None => Ok(Err(sqlx::Error::PoolClosed)),
        };
        self.end(started, answer)
    }

    /// All rows of a query.
    pub(crate) async fn all<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, Error> {
        let sql = sql.into_sql_str();
        let started = self.start(args)?;
        let answer = match &mut self.raw {
            Some(Raw::Sqlite(connection)) => {
                let query = bound!(sqlx::query_as::<Sqlite, T>(sql), args);
                timeout(QUERY_MAX, query.fetch_all(&mut **connection)).await
            }
            Some(Raw::Postgres(connection)) => {
                let query = bound!(sqlx::query_as::<Postgres, T>(sql), args);
                timeout(QUERY_MAX, query.fetch_all(&mut **connection)).await
            }
            None => Ok(Err(sqlx::Error::PoolClosed)),
        };
        self.end(started, answer)
    }

    /// The first row of a query that has at most one.
    pub(crate) async fn optional<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        Ok(self.all(sql, args).await?.into_iter().next())
    }

    /// The row of a query that always has one.
    pub(crate) async fn one<T: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<T, Error> {
        self.optional(sql, args)
            .await?
            .ok_or(Error::Query(sqlx::Error::RowNotFound))
    }

    /// Makes all of the transaction happen.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.execute("COMMIT", &[]).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// The connection is dirty from here until the answer is complete.
    fn start(&mut self, args: &[Value<'_>]) -> Result<Duration, Error> {
        refuse_zero_bytes(args)?;
        self.is_dirty = true;
        Ok(self.inner.clock.monotonic())
    }

    fn end<T>(
        &mut self,
        started: Duration,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, Error> {
        let result = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Error::of_query(&self.inner.name, error)),
            Err(_) => Err(Error::Timeout {
                database: self.inner.name.clone(),
                seconds: QUERY_MAX.as_secs(),
            }),
        };
        self.is_dirty = result.as_ref().is_err_and(Error::is_unreachable);
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

/// Postgres can't store them in a text and SQLite can; so neither is asked to.
fn refuse_zero_bytes(args: &[Value<'_>]) -> Result<(), Error> {
    for value in args {
        if let Value::Text(Some(text)) = value
            && let Some(at) = text.bytes().position(|byte| byte == 0)
        {
            return Err(Error::ZeroByte { at });
        }
    }
    Ok(())
}
