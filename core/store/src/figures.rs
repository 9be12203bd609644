//! What the database costs, by member and operation.

use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of [`QueryFigures::buckets`], in seconds; one bucket more is for
/// what took longer.
pub const BUCKETS_SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

const BUCKETS: usize = BUCKETS_SECONDS.len() + 1;
/// Pairs of member and operation that are told apart; whatever else comes counts as `(overflow)`.
const PAIRS_MAX: usize = 4_096;
const OVERFLOW: &str = "(overflow)";

/// What the database costs, and who uses how much of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// By member and operation, in their order.
    pub queries: Vec<QueryFigures>,
    /// By member, in their order. "" is the process itself: queries on no member's budget.
    pub budgets: Vec<BudgetFigures>,
    /// Connections that are open.
    pub connections: u32,
    /// Connections that are open and that nobody uses.
    pub connections_idle: u32,
    /// Connections that may be open at once.
    pub connections_max: u32,
}

/// The queries of an operation of a member.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryFigures {
    /// The member whose budget they were on; without one, the member that was tagged; else "".
    pub member: String,
    /// The operation that was tagged, or "".
    pub op: String,
    /// Statements that were sent.
    pub queries: u64,
    /// Those that failed, and those for which there was no connection.
    pub errors: u64,
    /// Time from sending them to their last row, in seconds.
    pub seconds: f64,
    /// Time spent waiting for a connection, in seconds.
    pub wait_seconds: f64,
    /// How many took at most as long as [`BUCKETS_SECONDS`] says and longer than the bucket before.
    /// Not cumulative.
    pub buckets: [u64; BUCKETS],
}

/// A member's share of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetFigures {
    /// The member.
    pub member: String,
    /// Connections that it may use at once.
    pub connections: u32,
    /// Connections that it uses.
    pub in_use: u32,
    /// Queries that wait for one of them.
    pub waiting: u32,
    /// Queries that waited in vain.
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

/// Whose work a query is.
pub(crate) type Owner = (String, &'static str);

/// The sums so far.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<HashMap<Owner, Sums>>);

impl Meter {
    /// A statement was answered.
    pub(crate) fn query(&self, owner: &Owner, time: Duration, failed: bool) {
        self.add(owner, |sums| {
            sums.queries += 1;
            sums.errors += u64::from(failed);
            sums.time += time;
            sums.buckets[bucket(time)] += 1;
        });
    }

    /// A connection was waited for.
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

    pub(crate) fn figures(&self) -> Vec<QueryFigures> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut figures: Vec<QueryFigures> = all
            .iter()
            .map(|((member, op), sums)| QueryFigures {
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
        figures.sort_by(|a, b| (&a.member, &a.op).cmp(&(&b.member, &b.op)));
        figures
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
    fn a_duration_is_counted_in_one_bucket() {
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
    fn owners_beyond_the_bound_share_a_row() {
        let meter = Meter::default();
        for member in 0..PAIRS_MAX + 10 {
            meter.query(&(member.to_string(), ""), Duration::ZERO, false);
        }
        let figures = meter.figures();
        assert_eq!(figures.len(), PAIRS_MAX + 1);
        let rest = figures
            .iter()
            .find(|figures| figures.member == OVERFLOW)
            .expect("a row for the rest");
        assert_eq!(rest.queries, 10);
    }
}
