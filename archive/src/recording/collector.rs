//! The counters of rules on `/metrics`.

use super::state::LabelSet;
use crate::recording_rule::RecordingRule;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A rule by tenant and id.
type Key = (String, String);

/// The counters of one rule.
#[derive(Clone, Debug)]
struct Exported {
    name: String,
    help: String,
    tenant: String,
    totals: Vec<(LabelSet, i64)>,
}

/// The counters of the rules that this process evaluates. Cheap to clone.
#[derive(Clone, Default)]
pub struct RuleCollector(Arc<Mutex<BTreeMap<Key, Exported>>>);

impl RuleCollector {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Exported>> {
        // No holder panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, rule: &RecordingRule, totals: Vec<(LabelSet, i64)>) {
        let exported = Exported {
            name: rule.metric_name.clone(),
            help: rule.help(),
            tenant: rule.tenant.clone(),
            totals,
        };
        self.lock()
            .insert((rule.tenant.clone(), rule.id.clone()), exported);
    }

    /// Keeps only the counters of these rules: others are evaluated elsewhere, or deleted.
    pub(super) fn retain(&self, keep: impl Fn(&str, &str) -> bool) {
        self.lock().retain(|(tenant, id), _| keep(tenant, id));
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

impl Collector for RuleCollector {
    fn desc(&self) -> Vec<&Desc> {
        // The names are those of rules, which change.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        for exported in self.lock().values() {
            let family = families.entry(exported.name.clone()).or_insert_with(|| {
                let mut family = MetricFamily::default();
                family.set_name(exported.name.clone());
                family.set_help(exported.help.clone());
                family.set_field_type(MetricType::COUNTER);
                family
            });
            for (labels, total) in &exported.totals {
                let mut counter = Counter::default();
                counter.set_value(*total as f64);
                let mut metric = Metric::default();
                metric.set_counter(counter);
                let labels = labels.iter().map(|(name, value)| pair(name, value));
                let tenant = Some(&exported.tenant).filter(|tenant| !tenant.is_empty());
                let tenant = tenant.map(|tenant| pair("tenant", tenant));
                metric.set_label(labels.chain(tenant).collect());
                family.mut_metric().push(metric);
            }
        }
        let families = families.into_values();
        families
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}
