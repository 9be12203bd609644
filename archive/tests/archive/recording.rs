//! Recording rules: counters that several replicas evaluate, and nothing counts twice.

use crate::support::requests::{one_type, packed, take};
use crate::support::{World, clock, options};
use davy_archive::recording::{RecordingRule, RuleRunner};
use davy_base::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use prometheus::Registry;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const METRIC: &str = "checkout_json_cpu_nanoseconds_total";

fn rules() -> Vec<RecordingRule> {
    let total = RecordingRule {
        id: "total".to_owned(),
        metric_name: "checkout_cpu_nanoseconds_total".to_owned(),
        profile_type: "cpu".to_owned(),
        selector: r#"{service_name="checkout"}"#.to_owned(),
        group_by: vec!["region".to_owned()],
        ..RecordingRule::default()
    };
    let json = RecordingRule {
        id: "json".to_owned(),
        metric_name: METRIC.to_owned(),
        function: "json".to_owned(),
        ..total.clone()
    };
    vec![total, json]
}

/// An archive on a bucket, and what evaluates its rules.
pub(crate) struct Replica {
    world: World,
    pub(crate) runner: RuleRunner,
    registry: Registry,
}

impl Replica {
    fn new(bucket: &Arc<dyn ObjectStore>, clock: &Clock) -> Self {
        Self::with_remote_write(bucket, clock, None)
    }

    /// The same, which sends its counters to a URL.
    pub(crate) fn with_remote_write(
        bucket: &Arc<dyn ObjectStore>,
        clock: &Clock,
        url: Option<String>,
    ) -> Self {
        let options = davy_archive::ArchiveOptions {
            recording_rules: rules(),
            recording_remote_write: url,
            ..options(Arc::clone(bucket), clock)
        };
        let world = World::with(options);
        let registry = Registry::new();
        let runner = world
            .archive
            .rule_runner(&registry)
            .expect("fresh registry");
        Self {
            world,
            runner,
            registry,
        }
    }

    /// The value of a counter for a region; none if this replica does not export it.
    pub(crate) fn counter(&self, name: &str, region: &str) -> Option<i64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let has = |of: &&prometheus::proto::Metric| {
            of.get_label()
                .iter()
                .any(|pair| pair.name() == "region" && pair.value() == region)
        };
        let metric = family.get_metric().iter().find(has)?;
        Some(metric.get_counter().get_value() as i64)
    }

    /// Pushes a window that begins now.
    pub(crate) async fn push(&self, region: &str, json: i64, other: i64) {
        let mut profile = one_type("cpu", "nanoseconds");
        profile.time_nanos = self.world.clock.now().nanos();
        profile.duration_nanos = 10_000_000_000;
        let [main, json_at, other_at] =
            ["main", "json", "other"].map(|name| profile.named_location(name));
        let labels = profile.text_labels(&[]);
        for (path, value) in [([main, json_at], json), ([main, other_at], other)] {
            let stack = profile.stack(path);
            profile.add_sample(stack, labels, &[value]);
        }
        let name = format!("name=checkout%7Bregion%3D{region}%7D");
        take(&self.world, &name, packed(&profile)).await;
    }
}

/// Rounds know each other after the second one.
pub(crate) async fn rounds(replicas: &mut [&mut Replica]) {
    for _ in 0..2 {
        for replica in replicas.iter_mut() {
            replica.runner.refresh().await;
            replica.runner.round().await;
        }
    }
}

#[tokio::test]
async fn counters_continue_through_a_takeover_and_count_nothing_twice() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = clock();
    let (mut a, mut b) = (Replica::new(&bucket, &clock), Replica::new(&bucket, &clock));
    // A window before the rules exist does not count.
    a.push("eu", 1_000, 1_000).await;
    clock.advance(Duration::from_mins(3));
    rounds(&mut [&mut a]).await;
    assert_eq!(a.counter(METRIC, "eu"), None, "no value yet");
    a.push("eu", 5, 10).await;
    a.push("us", 2, 0).await;
    clock.advance(Duration::from_mins(1));
    rounds(&mut [&mut a]).await;
    assert_eq!(
        a.counter(METRIC, "eu"),
        None,
        "the minute is not over long enough"
    );
    clock.advance(Duration::from_mins(1));
    rounds(&mut [&mut a]).await;
    assert_eq!(a.counter(METRIC, "eu"), Some(5));
    assert_eq!(a.counter("checkout_cpu_nanoseconds_total", "eu"), Some(15));
    assert_eq!(a.counter("checkout_cpu_nanoseconds_total", "us"), Some(2));

    // Another replica joins: each rule has one owner, and the counters continue.
    a.push("eu", 3, 0).await;
    clock.advance(Duration::from_mins(3));
    rounds(&mut [&mut a, &mut b]).await;
    rounds(&mut [&mut a, &mut b]).await;
    for name in [METRIC, "checkout_cpu_nanoseconds_total"] {
        let values = [a.counter(name, "us"), b.counter(name, "us")];
        let exporting = values.iter().flatten().count();
        assert_eq!(exporting, 1, "{name}: {values:?}");
    }
    let json = a.counter(METRIC, "eu").or(b.counter(METRIC, "eu"));
    assert_eq!(json, Some(8));

    // The first one stops. What it had evaluated is not evaluated again.
    let stopped = tokio_util::sync::CancellationToken::new();
    stopped.cancel();
    a.runner.run(stopped).await;
    assert_eq!(a.counter(METRIC, "eu"), None);
    b.push("eu", 4, 0).await;
    clock.advance(Duration::from_mins(3));
    rounds(&mut [&mut b]).await;
    assert_eq!(b.counter(METRIC, "eu"), Some(12));
    assert_eq!(b.counter("checkout_cpu_nanoseconds_total", "eu"), Some(22));
}

#[tokio::test]
async fn replicas_that_both_believe_to_own_a_rule_write_the_same_totals() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = clock();
    let (mut a, mut b) = (Replica::new(&bucket, &clock), Replica::new(&bucket, &clock));
    // Each refreshed alone, so each owns everything.
    a.runner.refresh().await;
    a.runner.leave().await;
    b.runner.refresh().await;
    a.runner.round().await;
    b.runner.round().await;
    for minute in 0..5 {
        a.push("eu", 1, minute).await;
        clock.advance(Duration::from_mins(1));
        a.runner.round().await;
        b.runner.round().await;
        a.runner.round().await;
    }
    clock.advance(Duration::from_mins(2));
    b.runner.round().await;
    a.runner.round().await;
    assert_eq!(
        [a.counter(METRIC, "eu"), b.counter(METRIC, "eu")],
        [Some(5), Some(5)]
    );
}

#[tokio::test]
async fn replaced_rules_count_from_then_on_and_those_that_stay_go_on() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = clock();
    let mut replica = Replica::new(&bucket, &clock);
    rounds(&mut [&mut replica]).await;
    replica.push("eu", 5, 10).await;
    clock.advance(Duration::from_mins(2));
    rounds(&mut [&mut replica]).await;
    let other = "checkout_cpu_nanoseconds_total";
    assert_eq!(replica.counter(other, "eu"), Some(15));
    let mut new = rules().remove(1);
    new.id = "new".to_owned();
    new.metric_name = "checkout_new_total".to_owned();
    let kept = rules().remove(1);
    replica.world.archive.rules().replace(vec![kept, new]);
    rounds(&mut [&mut replica]).await;
    replica.push("eu", 2, 0).await;
    clock.advance(Duration::from_mins(2));
    rounds(&mut [&mut replica]).await;
    let values = [METRIC, "checkout_new_total", other].map(|name| replica.counter(name, "eu"));
    assert_eq!(values, [Some(7), Some(2), None]);
}

#[tokio::test]
async fn rule_on_a_state_is_refused_and_does_not_stop_the_others() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = clock();
    let mut heap = rules().remove(0);
    heap.id = "heap".to_owned();
    heap.metric_name = "checkout_heap".to_owned();
    heap.profile_type = "heap".to_owned();
    let mut all = rules();
    all.insert(0, heap);
    let options = davy_archive::ArchiveOptions {
        recording_rules: all,
        ..options(bucket, &clock)
    };
    let world = World::with(options);
    let registry = Registry::new();
    let runner = world
        .archive
        .rule_runner(&registry)
        .expect("fresh registry");
    let mut replica = Replica {
        world,
        runner,
        registry,
    };
    rounds(&mut [&mut replica]).await;
    let mut profile = one_type("inuse_space", "bytes");
    profile.time_nanos = clock.now().nanos();
    let location = profile.named_location("main");
    let stack = profile.stack([location]);
    let labels = profile.text_labels(&[]);
    profile.add_sample(stack, labels, &[7]);
    take(&replica.world, "name=checkout", packed(&profile)).await;
    replica.push("eu", 1, 1).await;
    clock.advance(Duration::from_mins(2));
    rounds(&mut [&mut replica]).await;
    assert_eq!(replica.counter(METRIC, "eu"), Some(1));
    let names: Vec<String> = replica
        .registry
        .gather()
        .iter()
        .map(|of| of.name().to_owned())
        .collect();
    assert!(!names.contains(&"checkout_heap".to_owned()), "{names:?}");
}
