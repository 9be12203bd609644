//! Metric families that are made from the report of the process.

use super::catalogue::entry;
use crate::control::{Control, Database};
use crate::report::Report;
use crate::usage::Usage;
use davy_archive::metrics::MetricKind;
use davy_tag::POLL_BOUNDS_SECONDS;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// Collects metric families, each with the label `process`.
pub(super) struct Families<'a> {
    process: &'a str,
    families: Vec<MetricFamily>,
}

impl Families<'_> {
    pub(super) fn into_vec(self) -> Vec<MetricFamily> {
        self.families
    }

    fn label(name: &str, value: &str) -> LabelPair {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    }

    fn metric(&self, labels: &[(&str, &str)]) -> Metric {
        let mut pairs: Vec<LabelPair> = labels
            .iter()
            .map(|(name, value)| Self::label(name, value))
            .collect();
        pairs.push(Self::label("process", self.process));
        Metric::from_label(pairs)
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        metrics: Vec<Metric>,
    ) -> Result<(), prometheus::Error> {
        let entry = entry(name)?;
        if metrics.is_empty() {
            return Ok(());
        }
        let mut family = MetricFamily::default();
        family.set_name(entry.name.to_owned());
        family.set_help(entry.help.to_owned());
        family.set_field_type(match entry.kind {
            MetricKind::Counter => MetricType::COUNTER,
            MetricKind::Gauge => MetricType::GAUGE,
            MetricKind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(metrics);
        self.families.push(family);
        Ok(())
    }

    pub(super) fn counter(&self, labels: &[(&str, &str)], value: f64) -> Metric {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = self.metric(labels);
        metric.set_counter(counter);
        metric
    }

    pub(super) fn gauge(&self, labels: &[(&str, &str)], value: f64) -> Metric {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = self.metric(labels);
        metric.set_gauge(gauge);
        metric
    }

    /// `counts` has one count for each of `bounds`, not cumulative.
    fn histogram(
        &self,
        labels: &[(&str, &str)],
        (total, sum): (u64, f64),
        bounds: &[f64],
        counts: &[u64],
    ) -> Metric {
        let mut cumulative = 0;
        let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(total);
        histogram.set_sample_sum(sum);
        let mut metric = self.metric(labels);
        metric.set_histogram(histogram);
        metric
    }

    fn counters(
        &mut self,
        name: &str,
        values: &[(&[(&str, &str)], f64)],
    ) -> Result<(), prometheus::Error> {
        let metrics = values
            .iter()
            .map(|(labels, value)| self.counter(labels, *value));
        let metrics = metrics.collect();
        self.add(name, metrics)
    }

    fn gauges(
        &mut self,
        name: &str,
        values: &[(&[(&str, &str)], f64)],
    ) -> Result<(), prometheus::Error> {
        let metrics = values
            .iter()
            .map(|(labels, value)| self.gauge(labels, *value));
        let metrics = metrics.collect();
        self.add(name, metrics)
    }
}

/// The families of the members of this process.
pub(super) async fn of_members<'a>(
    control: &Control,
    report: &Report,
    process: &'a str,
) -> Result<Families<'a>, prometheus::Error> {
    let mut families = Families {
        process,
        families: Vec::new(),
    };
    let mut labels: Vec<[(&str, &str); 2]> = Vec::new();
    let mut usage: Vec<&Usage> = Vec::new();
    for member in &report.members {
        for operation in &member.operations {
            labels.push([("member", &member.name), ("op", &operation.op)]);
            usage.push(&operation.usage);
        }
    }
    let of = |value: fn(&Usage) -> f64| -> Vec<(&[(&str, &str)], f64)> {
        let pairs = labels.iter().zip(&usage);
        pairs
            .map(|(labels, usage)| (labels.as_slice(), value(usage)))
            .collect()
    };
    families.counters(
        "davy_member_cpu_seconds_total",
        &of(|usage| usage.cpu_seconds),
    )?;
    families.gauges(
        "davy_member_heap_bytes",
        &of(|usage| usage.heap_bytes as f64),
    )?;
    families.counters(
        "davy_member_alloc_bytes_total",
        &of(|usage| usage.alloc_bytes as f64),
    )?;
    families.gauges("davy_member_tasks", &of(|usage| usage.tasks as f64))?;
    poll_durations(&mut families)?;

    let members: Vec<_> = report
        .members
        .iter()
        .filter(|member| member.state != "-")
        .collect();
    let names: Vec<[(&str, &str); 1]> = members
        .iter()
        .map(|member| [("member", member.name.as_str())])
        .collect();
    let up: Vec<f64> = members
        .iter()
        .map(|m| f64::from(u8::from(m.state == "ready")))
        .collect();
    let restarts: Vec<f64> = members
        .iter()
        .map(|member| member.restarts as f64)
        .collect();
    let leaked: Vec<f64> = members.iter().map(|member| member.leaked as f64).collect();
    let with = |values: Vec<f64>| -> Vec<(&[(&str, &str)], f64)> {
        names.iter().map(<[_; 1]>::as_slice).zip(values).collect()
    };
    families.gauges("davy_member_up", &with(up))?;
    families.counters("davy_member_restarts_total", &with(restarts))?;
    families.counters("davy_member_leaked_tasks_total", &with(leaked))?;
    database(&mut families, control)?;
    last_runs(&mut families, control).await?;
    Ok(families)
}

fn poll_durations(families: &mut Families<'_>) -> Result<(), prometheus::Error> {
    let mut metrics = Vec::new();
    for usage in davy_tag::usage() {
        if usage.tag.is_untagged() || usage.polls == 0 {
            continue;
        }
        let metric = families.histogram(
            &[("member", usage.tag.member()), ("op", usage.tag.op())],
            (usage.polls, usage.poll_nanos as f64 / 1e9),
            &POLL_BOUNDS_SECONDS,
            &usage.poll_buckets,
        );
        metrics.push(metric);
    }
    families.add("davy_member_poll_duration_seconds", metrics)
}

fn database(families: &mut Families<'_>, control: &Control) -> Result<(), prometheus::Error> {
    let statistics = control.0.store.stats();
    let mut queries = Vec::new();
    let mut errors = Vec::new();
    let mut durations = Vec::new();
    for row in &statistics.queries {
        let labels = [("member", row.member.as_str()), ("op", row.op.as_str())];
        queries.push(families.counter(&labels, row.queries as f64));
        errors.push(families.counter(&labels, row.errors as f64));
        durations.push(families.histogram(
            &labels,
            (row.queries, row.seconds),
            &davy_store::BUCKETS_SECONDS,
            &row.buckets,
        ));
    }
    families.add("davy_db_queries_total", queries)?;
    families.add("davy_db_errors_total", errors)?;
    families.add("davy_db_query_duration_seconds", durations)?;
    let mut gauges = Vec::new();
    for budget in &statistics.budgets {
        for (state, count) in [
            ("in_use", budget.in_use),
            ("budget", budget.connections),
            ("waiting", budget.waiting),
        ] {
            let labels = [("member", budget.member.as_str()), ("state", state)];
            gauges.push(families.gauge(&labels, f64::from(count)));
        }
    }
    families.add("davy_db_connections", gauges)?;
    let up = f64::from(u8::from(control.database() == Database::Up));
    families.gauges("davy_db_up", &[(&[], up)])
}

async fn last_runs(
    families: &mut Families<'_>,
    control: &Control,
) -> Result<(), prometheus::Error> {
    let ticks = control.fleet().await.ticks;
    let mut at = Vec::new();
    let mut took = Vec::new();
    for tick in &ticks {
        let labels = [("member", tick.name.as_str())];
        at.push(families.gauge(&labels, tick.last_run.unwrap_or(0) as f64 / 1e3));
        let outcome = tick.outcome.as_deref().unwrap_or("none");
        let labels = [("member", tick.name.as_str()), ("outcome", outcome)];
        took.push(families.gauge(&labels, tick.duration_ms.unwrap_or(0) as f64 / 1e3));
    }
    families.add("davy_member_last_run_seconds", at)?;
    families.add("davy_member_run_duration_seconds", took)
}
