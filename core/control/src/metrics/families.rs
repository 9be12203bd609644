//! Metric families that are made from the report of the process.

use crate::control::{Control, Database};
use crate::usage::Usage;
use davy_tag::POLL_BOUNDS_SECONDS;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// Collects metric families, each with the label `process`.
struct Families<'a> {
    process: &'a str,
    families: Vec<MetricFamily>,
}

impl Families<'_> {
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

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.families.push(family);
    }

    fn counter(&self, labels: &[(&str, &str)], value: f64) -> Metric {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = self.metric(labels);
        metric.set_counter(counter);
        metric
    }

    fn gauge(&self, labels: &[(&str, &str)], value: f64) -> Metric {
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

    fn counters(&mut self, name: &str, help: &str, values: &[(&[(&str, &str)], f64)]) {
        let metrics = values
            .iter()
            .map(|(labels, value)| self.counter(labels, *value));
        let metrics = metrics.collect();
        self.add(name, help, MetricType::COUNTER, metrics);
    }

    fn gauges(&mut self, name: &str, help: &str, values: &[(&[(&str, &str)], f64)]) {
        let metrics = values
            .iter()
            .map(|(labels, value)| self.gauge(labels, *value));
        let metrics = metrics.collect();
        self.add(name, help, MetricType::GAUGE, metrics);
    }
}

/// The families of the members of this process.
pub(super) async fn of_members(control: &Control, process: &str) -> Vec<MetricFamily> {
    let report = control.report();
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
        "CPU time, measured at each poll",
        &of(|usage| usage.cpu_seconds),
    );
    families.gauges(
        "davy_member_heap_bytes",
        "Live heap, estimated from samples",
        &of(|usage| usage.heap_bytes as f64),
    );
    families.counters(
        "davy_member_alloc_bytes_total",
        "Bytes allocated",
        &of(|usage| usage.alloc_bytes as f64),
    );
    families.gauges(
        "davy_member_tasks",
        "Live tasks",
        &of(|usage| usage.tasks as f64),
    );
    poll_durations(&mut families);

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
    families.gauges(
        "davy_member_up",
        "1 while the member is ready, otherwise 0",
        &with(up),
    );
    families.counters("davy_member_restarts_total", "Restarts", &with(restarts));
    families.counters(
        "davy_member_leaked_tasks_total",
        "Tasks that outlived their member and were cancelled",
        &with(leaked),
    );
    database(&mut families, control);
    last_runs(&mut families, control).await;
    families.families
}

fn poll_durations(families: &mut Families<'_>) {
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
    families.add(
        "davy_member_poll_duration_seconds",
        "Duration of polls",
        MetricType::HISTOGRAM,
        metrics,
    );
}

fn database(families: &mut Families<'_>, control: &Control) {
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
    families.add(
        "davy_db_queries_total",
        "Database queries",
        MetricType::COUNTER,
        queries,
    );
    families.add(
        "davy_db_errors_total",
        "Failed database queries",
        MetricType::COUNTER,
        errors,
    );
    families.add(
        "davy_db_query_duration_seconds",
        "Duration of queries, including the wait for a connection",
        MetricType::HISTOGRAM,
        durations,
    );
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
    families.add(
        "davy_db_connections",
        "Database connections in use, budget, and queries waiting for a connection, by state",
        MetricType::GAUGE,
        gauges,
    );
    let up = f64::from(u8::from(control.database() == Database::Up));
    families.gauges(
        "davy_db_up",
        "1 while the database is reachable, otherwise 0",
        &[(&[], up)],
    );
}

async fn last_runs(families: &mut Families<'_>, control: &Control) {
    let (_, ticks) = control.fleet().await;
    let mut at = Vec::new();
    let mut took = Vec::new();
    for tick in &ticks {
        let labels = [("member", tick.name.as_str())];
        at.push(families.gauge(&labels, tick.last_run.unwrap_or(0) as f64 / 1e3));
        let outcome = tick.outcome.as_deref().unwrap_or("none");
        let labels = [("member", tick.name.as_str()), ("outcome", outcome)];
        took.push(families.gauge(&labels, tick.duration_ms.unwrap_or(0) as f64 / 1e3));
    }
    families.add(
        "davy_member_last_run_seconds",
        "Unix time of the last successful run of the periodic member in the fleet, in seconds",
        MetricType::GAUGE,
        at,
    );
    families.add(
        "davy_member_run_duration_seconds",
        "Duration of the last run of the periodic member, by outcome",
        MetricType::GAUGE,
        took,
    );
}
