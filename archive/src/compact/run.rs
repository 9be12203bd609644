//! Rounds: the plan of each hour, day and month, applied to the bucket.

use super::compactor::{Compactor, Done};
use super::expire::Outcome;
use super::presence::Share;
use crate::error::Result;
use crate::key::{Hour, Tenant};
use crate::plan::plan;
use crate::rule::{Listing, select};
use davy_bucket::Usage;
use object_store::path::Path;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

impl Compactor {
    /// Runs rounds until `drain` is cancelled. A merge in progress is dropped, which is safe because a
    /// block exists only when its last object is written.
    pub async fn run(self, drain: CancellationToken) {
        let own = Ulid::from_parts(
            self.options.clock.now().millis().unsigned_abs(),
            u128::from(self.options.random.clone().next_u64()),
        );
        let own = own.to_string();
        let work = async {
            loop {
                let share = self.share(&own).await;
                match self.round(&share).await {
                    Ok(done) if done.merged + done.deleted > 0 => {
                        tracing::info!(
                            merged = done.merged,
                            deleted = done.deleted,
                            requests = done.requests,
                            read_bytes = done.read_bytes,
                            written_bytes = done.written_bytes,
                            "compacted"
                        );
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "compaction failed"),
                }
                self.options
                    .clock
                    .sleep(self.options.compact_interval)
                    .await;
            }
        };
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = work => {}
        }
        self.leave(&own).await;
    }

    /// Runs one round over all tenants, whatever other archivers do.
    pub async fn once(&self) -> Result<Done> {
        self.round(&Share::All).await
    }

    /// Runs a share of one round over all tenants, and counts what it costs.
    async fn round(&self, share: &Share) -> Result<Done> {
        let usage = Usage::default();
        let done = usage.count(Box::pin(self.work(share))).await?;
        Ok(Done {
            requests: usage.requests(),
            read_bytes: usage.bytes(),
            written_bytes: usage.written_bytes(),
            ..done
        })
    }

    async fn work(&self, share: &Share) -> Result<Done> {
        let mut done = Done::default();
        let (mut segments, mut blocks, mut lag) = (0, 0, 0);
        let (mut due_hours, mut due_days, mut due_months) = (0, 0, 0);
        for tenant in self.bucket.tenants().await? {
            let now = self.options.clock.now();
            for (hour, listing) in self.hours(&tenant).await? {
                let policy = &self.options.policy;
                let plan = plan(&listing, hour, now, policy);
                due_hours += i64::from(!plan.merge.is_empty());
                let open = select(&listing).segments.len();
                segments += open;
                blocks += listing.blocks.len();
                if open > 0 {
                    lag = lag.max(now.since(hour.end()).as_secs());
                }
                let key = format!("{}/{hour}", tenant.key());
                if !share.contains(&key, hour.end().plus(policy.settle), now) {
                    continue;
                }
                self.hour(&tenant, hour, listing, now, &mut done).await?;
            }
            let (days, months) = self.days(&tenant, share, &mut done).await?;
            let key = format!("{}/captures", tenant.key());
            if share.contains(&key, now, now) {
                for expired in self.expire_captures(&tenant, false).await? {
                    match expired.outcome {
                        Outcome::Deleted => done.deleted += 1,
                        Outcome::Failed(error) => done.failed.push(error),
                        Outcome::Due | Outcome::Kept => {}
                    }
                }
            }
            due_days += days;
            due_months += months;
        }
        let due = [
            ("hour", due_hours),
            ("day", due_days),
            ("month", due_months),
        ];
        for (level, due) in due {
            let gauge = self.metrics.compaction_backlog.with_label_values(&[level]);
            gauge.set(due);
        }
        self.metrics.segments.set(segments as i64);
        self.metrics.blocks.set(blocks as i64);
        self.metrics
            .compaction_lag
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(done)
    }

    /// Listings of the hours of all days that have segments, and of today and yesterday.
    async fn hours(
        &self,
        tenant: &Tenant,
    ) -> Result<impl IntoIterator<Item = (Hour, Listing), IntoIter: Send> + use<>> {
        let keys = &self.bucket.keys;
        let today = Hour::of(self.options.clock.now()).0.div_euclid(24);
        let mut days: BTreeSet<i64> = [today - 1, today].into();
        let all = keys.segments(tenant, None);
        for object in self.bucket.list(&all).await? {
            if let Some(crate::key::Named::Segment(hour, _)) = keys.parse(tenant, &object.location)
            {
                days.insert(hour.0.div_euclid(24));
            }
        }
        let days = days.into_iter().map(|day| Hour(day * 24));
        let folders: Vec<Path> = days
            .flat_map(|day| {
                [
                    keys.segments_of_day(tenant, day),
                    keys.blocks_of_day(tenant, day),
                ]
            })
            .collect();
        let (hours, faults) = self.bucket.listing(tenant, &folders).await?;
        for fault in faults {
            tracing::warn!(fault, "unreadable block left out of compaction");
        }
        Ok(hours)
    }
}
