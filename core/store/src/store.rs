//! The handle that everything else hangs on.

use crate::args::args;
use crate::budget::Budget;
use crate::figures::{BudgetFigures, Figures, Meter};
use crate::pool::Pool;
use crate::url::Target;
use crate::{Error, migrate};
use davy_base::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long [`Store::ping`] waits for an answer.
const PING_MAX: Duration = Duration::from_secs(1);

/// Which database, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// Connections that this process opens at most. Each [`crate::Listener`] has one more.
    pub connections_max: u32,
    /// The time, for durations and, with SQLite, for [`Store::now`].
    pub clock: Clock,
}

impl Options {
    /// At most ten connections, on the machine's clock.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections_max: 10,
            clock: Clock::system(),
        }
    }
}

/// The database. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    pub(crate) budget: Arc<Budget>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) target: Target,
    /// The database in messages, without its password.
    pub(crate) name: String,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) meter: Meter,
    connections_max: u32,
    budgets: Mutex<BTreeMap<String, Arc<Budget>>>,
}

impl Store {
    /// Checks the URL; no connection is made yet. To be called within a Tokio runtime.
    pub fn new(options: Options) -> Result<Self, Error> {
        let target = Target::parse(&options.url)?;
        let connections_max = options.connections_max.max(1);
        let budget = Arc::new(Budget::new("", connections_max));
        Ok(Self {
            inner: Arc::new(Inner {
                name: target.name(),
                pool: Pool::lazy(&target, connections_max),
                target,
                clock: options.clock,
                meter: Meter::default(),
                connections_max,
                budgets: Mutex::new(BTreeMap::from([(String::new(), Arc::clone(&budget))])),
            }),
            budget,
        })
    }

    /// Connects to `url` on the machine's clock and brings its tables up to date.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let store = Self::new(Options::new(url))?;
        store.migrate().await?;
        Ok(store)
    }

    /// Connects, and brings the tables up to date. Those who do this at the same time, in whichever
    /// process, do it one after the other. Can be called again after a failure, and does nothing
    /// where there is nothing to do.
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate::run(&self.inner.target, &self.inner.name).await
    }

    /// Whether the database answers, within a second. On no member's budget.
    pub async fn ping(&self) -> Result<(), Error> {
        let answer = async {
            self.session_beside_budgets()
                .await?
                .execute("SELECT 1", args![])
                .await
        };
        match tokio::time::timeout(PING_MAX, answer).await {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(Error::Timeout {
                database: self.inner.name.clone(),
                seconds: PING_MAX.as_secs(),
            }),
        }
    }

    /// The time that leases, slots and ticks are judged by: Postgres's own, so that hosts need not
    /// agree on it; with SQLite, which one host has to itself, the process's clock.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        if matches!(self.inner.pool, Pool::Sqlite(_)) {
            return Ok(self.inner.clock.now());
        }
        let (millis,): (i64,) = self
            .session()
            .await?
            .one(
                "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT",
                args![],
            )
            .await?;
        Ok(Timestamp::from_millis(millis))
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self.inner.pool {
            Pool::Sqlite(_) => "sqlite",
            Pool::Postgres(_) => "postgres",
        }
    }

    /// The database's name in messages: its URL without a password.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// A handle whose queries are `member`'s and use at most `connections` connections at a time (at
    /// least one). A query that finds all in use waits for three seconds, then fails with
    /// [`Error::Budget`].
    ///
    /// Handles of the same member and number share one budget. Another number makes a new one;
    /// handles from before keep theirs.
    pub fn member(&self, member: &str, connections: u32) -> Self {
        let mut budgets = self
            .inner
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let budget = budgets
            .get(member)
            .filter(|budget| budget.connections == connections.max(1))
            .cloned()
            .unwrap_or_else(|| Arc::new(Budget::new(member, connections)));
        budgets.insert(member.to_owned(), Arc::clone(&budget));
        drop(budgets);
        Self {
            inner: Arc::clone(&self.inner),
            budget,
        }
    }

    /// What was asked of the database so far and who uses it now, for all handles of this process.
    pub fn figures(&self) -> Figures {
        let budgets = self
            .inner
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|budget| BudgetFigures {
                member: budget.member.to_string(),
                connections: budget.connections,
                in_use: budget.in_use(),
                waiting: budget.waiting(),
                refused: budget.refused(),
            })
            .collect();
        let (connections, connections_idle) = self.inner.pool.sizes();
        Figures {
            queries: self.inner.meter.figures(),
            budgets,
            connections,
            connections_idle,
            connections_max: self.inner.connections_max,
        }
    }

    /// Closes all connections after the queries that run, and ends all listeners. Queries after
    /// that fail as unreachable.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }
}
