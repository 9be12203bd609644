//! Statistics on queries, by member and operation.

use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of [`QueryStats::buckets`], in seconds. One further bucket counts longer queries.
pub const BUCKETS_SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

const BUCKETS: usize = BUCKETS_SECONDS.len() + 1;
/// Pairs of member and operation with a row of their own. All further pairs share one row, whose
/// member and operation are [`OVERFLOW`].
const PAIRS_MAX: usize = 4_096;
const OVERFLOW: &str = "(overflow)";

/// Queries and connections of this process since the store was created.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Sorted by member and operation.
    pub queries: Vec<QueryStats>,
    /// Sorted by member. The member "" stands for queries outside any member's budget.
    pub budgets: Vec<BudgetStats>,
    /// Open connections.
    pub connections: u32,
    /// Open connections that are not in use.
    pub connections_idle: u32,
    /// The maximum number of open connections.
    pub connections_max: u32,
}

/// The queries of one operation of a member.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryStats {
    /// The member whose budget the queries used; else the tagged member; else "".
    pub member: String,
    /// The tagged operation, or "".
    pub op: String,
    /// Statements sent.
    pub queries: u64,
    /// Statements that failed, and those for which no connection was available.
    pub errors: u64,
    /// Time from sending a statement to receiving its last row, in seconds.
    pub seconds: f64,
    /// Time spent waiting for a connection, in seconds.
    pub wait_seconds: f64,
    /// Statements by duration: longer than the previous bound of [`BUCKETS_SECONDS`] and at most as
    /// long as their own. Not cumulative.
    pub buckets: [u64; BUCKETS],
}

/// A member's budget of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetStats {
    /// The member.
    pub member: String,
    /// The maximum number of connections in use at the same time.
    pub connections: u32,
    /// Connections in use.
    pub in_use: u32,
    /// Queries waiting for a connection of the budget.
    pub waiting: u32,
    /// Queries that timed out waiting for a connection of the budget.
    pub refused: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    queries: u64,
    errors: u64,
    time: Duration,
    wait: Duration,
    buckets: [u64; BUCKETS],
}

/// The member and the operation to which a query is attributed.
pub(crate) type Owner = (String, &'static str);

/// The sums since the store was created.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<HashMap<Owner, Sums>>);

impl Meter {
    /// Counts a finished statement.
    pub(crate) fn query(&self, owner: &Owner, time: Duration, failed: bool) {
        self.add(owner, |sums| {
            sums.queries += 1;
            sums.errors += u64::from(failed);
            sums.time += time;
            sums.buckets[bucket(time)] += 1;
        });
    }

    /// Counts a wait for a connection.
    pub(crate) fn wait(&self, owner: &Owner, wait: Duration, failed: bool) {
        self.add(owner, |sums| {
            sums.errors += u64::from(failed);
            sums.wait += wait;
        });
    }

    fn add(&self, owner: &Owner, change: impl FnOnce(&mut Sums)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sums) = all.get_mut(owner) {
            return change(sums);
        }
        let owner = if all.len() < PAIRS_MAX {
            owner.clone()
        } else {
            (OVERFLOW.to_owned(), OVERFLOW)
        };
        change(all.entry(owner).or_default());
    }

    pub(crate) fn queries(&self) -> Vec<QueryStats> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queries: Vec<QueryStats> = all
            .iter()
            .map(|((member, op), sums)| QueryStats {
                member: member.clone(),
                op: (*op).to_owned(),
                queries: sums.queries,
                errors: sums.errors,
                seconds: sums.time.as_secs_f64(),
                wait_seconds: sums.wait.as_secs_f64(),
                buckets: sums.buckets,
            })
            .collect();
        drop(all);
        queries.sort_by(|a, b| (&a.member, &a.op).cmp(&(&b.member, &b.op)));
        queries
    }
}

fn bucket(time: Duration) -> usize {
    let seconds = time.as_secs_f64();
    BUCKETS_SECONDS
        .iter()
        .position(|bound| seconds <= *bound)
        .unwrap_or(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_bounds_are_inclusive() {
        let check = |millis: u64, expected: usize| {
            assert_eq!(bucket(Duration::from_millis(millis)), expected, "{millis}");
        };
        check(0, 0);
        check(1, 1);
        check(2, 2);
        check(5_000, 8);
        check(5_001, 9);
    }

    #[test]
    fn owners_beyond_the_maximum_share_one_row() {
        let meter = Meter::default();
        for member in 0..PAIRS_MAX + 10 {
            meter.query(&(member.to_string(), ""), Duration::ZERO, false);
        }
        let queries = meter.queries();
        assert_eq!(queries.len(), PAIRS_MAX + 1);
        let overflow = queries
            .iter()
            .find(|row| row.member == OVERFLOW)
            .expect("an overflow row");
        assert_eq!(overflow.queries, 10);
    }
}
