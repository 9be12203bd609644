//! The member that evaluates rules.

use super::collector::RuleCollector;
use super::evaluate::evaluate;
use super::remote_write::{RemoteError, RemoteSeries, RemoteWrite};
use super::state::{Due, LabelSet, RuleState, last_slot, start};
use super::store::RuleStore;
use crate::error::Result;
use crate::presence::{Presence, REFRESH};
use crate::query::Query;
use crate::recording_rule::RecordingRule;
use davy_base::Timestamp;
use prometheus::IntCounterVec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a slot that could not be read as a whole is tried again.
const PATIENCE: Duration = Duration::from_mins(10);

/// Evaluates rules.
pub struct RuleRunner {
    store: RuleStore,
    query: Query,
    presence: Presence,
    counters: RuleCollector,
    evaluations: IntCounterVec,
    /// Failures that were logged, by rule.
    failing: BTreeMap<String, String>,
    remote_write: Option<RemoteWrite>,
    /// The last slot of each rule that was sent.
    sent: BTreeMap<String, i64>,
}

impl RuleRunner {
    pub(crate) fn new(
        store: RuleStore,
        query: Query,
        presence: Presence,
        counters: RuleCollector,
        evaluations: IntCounterVec,
    ) -> Self {
        Self {
            store,
            query,
            presence,
            counters,
            evaluations,
            failing: BTreeMap::new(),
            remote_write: None,
            sent: BTreeMap::new(),
        }
    }

    /// Sends the counters to a receiver of remote write, too.
    pub(crate) fn with_remote_write(
        mut self,
        url: String,
    ) -> Result<Self, davy_bucket::SettingsError> {
        let clock = self.store.clock.clone();
        self.remote_write = Some(RemoteWrite::new(url, clock)?);
        Ok(self)
    }

    /// Evaluates rules until `drain` is cancelled.
    pub async fn run(&mut self, drain: CancellationToken) {
        let clock = self.store.clock.clone();
        loop {
            let round = async {
                self.refresh().await;
                self.round().await;
                clock.sleep(REFRESH).await;
            };
            tokio::select! {
                () = round => {}
                () = drain.cancelled() => break,
            }
        }
        // Another replica continues, so the counters are its.
        self.counters.retain(|_, _| false);
        self.presence.leave().await;
    }

    /// Tells other replicas that this one is there, and looks who else is.
    pub async fn refresh(&self) {
        self.presence.refresh().await;
    }

    /// Tells other replicas that this one has gone.
    pub async fn leave(&self) {
        self.presence.leave().await;
    }

    /// Evaluates what is due of the rules that this process owns.
    pub async fn round(&mut self) {
        let rules = match self.rules().await {
            Ok(rules) => rules,
            Err(error) => {
                self.note("rules", Err(error.message));
                return;
            }
        };
        self.note("rules", Ok(()));
        let owned: Vec<RecordingRule> = rules
            .into_iter()
            .filter(|rule| self.presence.owns(&key(rule)))
            .collect();
        let kept: BTreeSet<(&str, &str)> = owned
            .iter()
            .map(|rule| (&*rule.tenant, &*rule.id))
            .collect();
        self.counters
            .retain(|tenant, id| kept.contains(&(tenant, id)));
        let keys: BTreeSet<String> = owned.iter().map(key).collect();
        self.sent.retain(|key, _| keys.contains(key));
        for rule in &owned {
            let evaluated = self.evaluate(rule).await;
            let result = match &evaluated {
                Ok(None) => None,
                Ok(Some(())) => Some("ok"),
                Err(_) => Some("failed"),
            };
            self.note(&key(rule), evaluated.map(drop));
            if let Some(result) = result {
                self.evaluations.with_label_values(&[result]).inc();
            }
        }
    }

    async fn rules(&self) -> Result<Vec<RecordingRule>> {
        let mut all = Vec::new();
        for tenant in self.store.tenants().await? {
            all.extend(
                self.store
                    .list(&tenant)
                    .await?
                    .into_iter()
                    .map(|(rule, _)| rule),
            );
        }
        Ok(all)
    }

    /// Adds the slots that are due; `None` if none are.
    async fn evaluate(&mut self, rule: &RecordingRule) -> Result<Option<()>, String> {
        let tenant = rule.tenant();
        // The counters of a rule that was changed begin at 0.
        let of = fingerprint(rule);
        let now = self.store.clock.now();
        let last = last_slot(now);
        let failed = |error: crate::error::Error| error.message;
        let before = self.store.state(&tenant, &rule.id).await.map_err(failed)?;
        let due = RuleState::due(before.as_ref(), &of, last);
        let mut state = before.filter(|state| state.of == of).unwrap_or(RuleState {
            of,
            slot: last,
            totals: Vec::new(),
        });
        let is_due = due != Due::Nothing;
        let known: BTreeSet<LabelSet> = state.totals.iter().map(|(set, _)| set.clone()).collect();
        let mut begun = None;
        if let Due::Slots {
            first,
            last,
            skipped,
        } = due
        {
            let range = (start(first), start(last + 1));
            let (values, partial) = evaluate(&self.query, rule, range).await.map_err(failed)?;
            if !partial.is_empty() && is_recent(range.1, now) {
                return Err(format!("not evaluated yet: {}", partial.join("; ")));
            }
            begun = Some(range.0);
            let refused = state.add(last, values);
            let skips = self.evaluations.with_label_values(&["skipped"]);
            skips.inc_by(skipped.max(0) as u64);
            let overflows = self.evaluations.with_label_values(&["overflow"]);
            overflows.inc_by(refused as u64);
        }
        if is_due {
            self.store
                .put_state(&tenant, &rule.id, &state)
                .await
                .map_err(failed)?;
        }
        // Only what is in the bucket is exported, so that another replica continues from it.
        let sent = self.send(rule, &state, (&known, begun)).await;
        self.counters.set(rule, state.totals);
        sent?;
        Ok(is_due.then_some(()))
    }

    /// Sends the totals by remote write, unless this process has sent them already. A counter with a new label set begins
    /// at 0 when its first slot does, so that its increase is that of the slot.
    async fn send(
        &mut self,
        rule: &RecordingRule,
        state: &RuleState,
        (known, begun): (&BTreeSet<LabelSet>, Option<Timestamp>),
    ) -> Result<(), String> {
        let key = key(rule);
        let is_sent = self.sent.get(&key) == Some(&state.slot);
        let Some(remote) = self.remote_write.clone().filter(|_| !is_sent) else {
            return Ok(());
        };
        let end = start(state.slot + 1).millis();
        let of = |(labels, total): &(LabelSet, i64)| {
            let zero = begun.filter(|_| !known.contains(labels));
            let zero = zero.map(|begun| (begun.millis(), 0));
            let samples = zero.into_iter().chain([(end, *total)]).collect();
            RemoteSeries::new(rule, labels, samples)
        };
        let series: Vec<RemoteSeries> = state.totals.iter().map(of).collect();
        let result = if series.is_empty() {
            Ok(())
        } else {
            remote.send(rule, &series).await
        };
        if !matches!(result, Err(RemoteError::Retry(_))) {
            self.sent.insert(key, state.slot);
        }
        result.map_err(|error| match error {
            RemoteError::Retry(error) | RemoteError::Refused(error) => error,
        })
    }

    /// Logs a failure when it begins.
    fn note(&mut self, rule: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.failing.remove(rule);
            }
            Err(error) => {
                if self.failing.get(rule) != Some(&error) {
                    tracing::warn!(rule, error, "cannot evaluate a recording rule");
                }
                self.failing.insert(rule.to_owned(), error);
            }
        }
    }
}

/// A rule by tenant and id.
fn key(rule: &RecordingRule) -> String {
    format!("{}\n{}", rule.tenant, rule.id)
}

fn is_recent(end: Timestamp, now: Timestamp) -> bool {
    now.since(end) < PATIENCE
}

/// What decides the values of a rule.
fn fingerprint(rule: &RecordingRule) -> String {
    let parts = (
        &rule.profile_type,
        &rule.selector,
        &rule.group_by,
        &rule.external_labels,
        &rule.function,
    );
    let text = serde_json::to_vec(&parts).unwrap_or_default();
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&text))
}
