//! The member that evaluates rules.

use super::collector::RuleCollector;
use super::evaluate::evaluate;
use super::state::{Due, RuleState, last_slot, start};
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
        }
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
        let key = |rule: &RecordingRule| format!("{}\n{}", rule.tenant, rule.id);
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
    async fn evaluate(&self, rule: &RecordingRule) -> Result<Option<()>, String> {
        let tenant = rule.tenant();
        // The state of a rule that was changed begins anew.
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
        self.counters.set(rule, state.totals);
        Ok(is_due.then_some(()))
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
