//! The handle to the database.

use crate::args::args;
use crate::budget::Budget;
use crate::pool::Pool;
use crate::stats::{BudgetStats, Meter, Stats};
use crate::url::Target;
use crate::{Error, migrate};
use davy_base::{Clock, Timestamp};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time limit of [`Store::ping`].
const PING_MAX: Duration = Duration::from_secs(1);

/// How to connect to a database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// The maximum number of open connections of this process. Each [`crate::Listener`] opens one more.
    pub connections_max: u32,
    /// The source of timers and of measured durations. It need not agree with the clocks of other
    /// processes: times that they share are the database's.
    pub clock: Clock,
}

impl StoreOptions {
    /// At most ten connections, and the system's clock.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections_max: 10,
            clock: Clock::system(),
        }
    }
}

/// A handle to the database. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    pub(crate) budget: Arc<Budget>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) target: Target,
    /// The URL without its password, for messages.
    pub(crate) name: String,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) meter: Meter,
    connections_max: u32,
    budgets: Mutex<BTreeMap<String, Arc<Budget>>>,
}

impl Store {
    /// Parses the URL. Connections are opened when they are needed. Must be called within a Tokio
    /// runtime.
    pub fn new(options: StoreOptions) -> Result<Self, Error> {
        let target = Target::parse(&options.url)?;
        let connections_max = options.connections_max.max(1);
        let clock = options.clock;
        let budget = Arc::new(Budget::new("", connections_max, clock.clone()));
        Ok(Self {
            inner: Arc::new(Inner {
                name: target.name(&options.url),
                pool: Pool::lazy(&target, connections_max, &clock),
                target,
                clock,
                meter: Meter::default(),
                connections_max,
                budgets: Mutex::new(BTreeMap::from([(String::new(), Arc::clone(&budget))])),
            }),
            budget,
        })
    }

    /// Connects to `url` with the system's clock, and migrates.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let store = Self::new(StoreOptions::new(url))?;
        store.migrate().await?;
        Ok(store)
    }

    /// Migrates the schema to this version, under a lock that is held across processes. Does nothing if
    /// the schema is current. Can be called again after an error.
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate::run(&self.inner.target, &self.inner.name, &self.inner.clock).await
    }

    /// Checks that the database responds within a second. Outside all budgets.
    pub async fn ping(&self) -> Result<(), Error> {
        let response = async {
            self.session_outside_budgets()
                .await?
                .execute("SELECT 1", args![])
                .await
        };
        match self.inner.clock.timeout(PING_MAX, response).await {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(Error::Timeout {
                database: self.inner.name.clone(),
                seconds: PING_MAX.as_secs(),
            }),
        }
    }

    /// The time by the database's clock, which leases, slots and liveness are measured by. The clocks
    /// of hosts need not agree with it.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        let mut session = self.session().await?;
        let now = session.now_sql();
        let (millis,): (i64,) = session
            .one(AssertSqlSafe(format!("SELECT {now}")), args![])
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

    /// The URL without its password, for messages.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// A handle whose queries are attributed to `member` and use at most `connections` connections (at
    /// least one) at the same time. A query that finds all of them in use waits for up to three
    /// seconds, then fails with [`Error::Budget`].
    ///
    /// Handles with the same member and number share one budget. A different number creates a new
    /// budget; existing handles keep the old one.
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
            .unwrap_or_else(|| {
                let clock = self.inner.clock.clone();
                Arc::new(Budget::new(member, connections, clock))
            });
        budgets.insert(member.to_owned(), Arc::clone(&budget));
        drop(budgets);
        Self {
            inner: Arc::clone(&self.inner),
            budget,
        }
    }

    /// Statistics over all handles of this process.
    pub fn stats(&self) -> Stats {
        let budgets = self
            .inner
            .budgets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|budget| BudgetStats {
                member: budget.member.to_string(),
                connections: budget.connections,
                in_use: budget.in_use(),
                waiting: budget.waiting(),
                refused: budget.refused(),
            })
            .collect();
        let (connections, connections_idle) = self.inner.pool.sizes();
        Stats {
            queries: self.inner.meter.queries(),
            budgets,
            connections,
            connections_idle,
            connections_max: self.inner.connections_max,
        }
    }

    /// Waits for running queries, then closes all connections and ends all listeners. Later queries
    /// fail with [`Error::Unreachable`].
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }
}
