//! Runs a history: first windows and faults, then a phase without faults, and checks after each retention.

use crate::executor::OUTSIDE;
use crate::faults::Faults;
use crate::reader::{Span, ask, month_of, random_span, read_until};
use crate::world::World;
use crate::{client, windows::Window};
use davy_archive::key::{Day, Hour, META};
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// How often a query is retried if objects are deleted while it reads them.
const ATTEMPTS: usize = 3;

/// Runs a history to its end.
pub(crate) async fn run(world: Rc<World>) {
    let scenario = Rc::clone(&world.scenario);
    let end = scenario.start.plus(scenario.active.max(scenario.faulty));
    world.fleet.start_all();
    for number in 0..scenario.windows.len() {
        let client = client::push(Rc::clone(&world), number);
        world.executor.spawn(OUTSIDE, client);
    }
    for _ in 0..scenario.readers {
        let reader = read_until(Rc::clone(&world), end.plus(Duration::from_hours(1)));
        world.executor.spawn(OUTSIDE, reader);
    }
    world.until(scenario.start.plus(scenario.faulty)).await;
    world.event(|| "fault injection ends".to_owned());
    world.store.set_faults(Faults::default());
    world.fleet.settle();

    // Each window is acknowledged or no longer sent, and listings show it.
    let pushed = scenario.windows.iter().map(|window| window.push_at).max();
    let pushed = pushed
        .unwrap_or(scenario.start)
        .plus(Duration::from_hours(1));
    let pushed = pushed.max(end).plus(scenario.faults.lag);
    world.until(pushed).await;
    check_answers(&world).await;

    let rounds = scenario.slow_interval * 3 + scenario.grace;
    let last_day = scenario.last_day_end();
    let merged = pushed.max(last_day).plus(scenario.merged_after() + rounds);
    world.until(merged).await;
    check_merged(&world);
    check_answers(&world).await;
    count_months(&world);

    let windows_end = last_day.plus(scenario.levels.windows);
    let windows_end = merged.max(windows_end).plus(rounds);
    world.until(windows_end).await;
    check_without(&world, &["/segments/", "/blocks/hour/"], "windows");
    check_answers(&world).await;

    let hours_end = windows_end.max(last_day.plus(scenario.levels.hours).plus(rounds));
    world.until(hours_end).await;
    check_without(&world, &["/samples.parquet"], "hours");
    check_one_block(&world, "day");
    check_one_block(&world, "month");
    check_answers(&world).await;

    let days_end = hours_end.max(last_day.plus(scenario.levels.days).plus(rounds));
    world.until(days_end).await;
    check_without(&world, &["/blocks/"], "days");
    check_answers(&world).await;
}

/// Without faults every query returns a complete result.
async fn check_answers(world: &Rc<World>) {
    let start = world.scenario.start.minus(Duration::from_hours(1));
    let (whole, month) = (start..world.clock.now(), month_of(start));
    for span in [whole, month.start()..month.end(), random_span(world)] {
        check_answer(world, span).await;
    }
}

async fn check_answer(world: &Rc<World>, span: Span) {
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        if let Some(of) = world.fleet.any() {
            match ask(world, &of, span.clone()).await {
                Some(answer) => {
                    world.check(&answer);
                    if answer.partial.is_empty() {
                        return;
                    }
                    why = format!("{:?}", answer.partial);
                }
                None => why = String::from("it failed"),
            }
        }
        world.clock.sleep(Duration::from_mins(1)).await;
    }
    world.fail(format!(
        "query from {} to {} returned a partial result without injected faults: {why}",
        span.start, span.end
    ));
}

fn keys(world: &World) -> Vec<String> {
    world
        .store
        .content()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// The dates of the days whose windows must be in a day block.
fn dates(world: &World) -> BTreeSet<String> {
    let is_certain = |window: &&Window| window.acknowledged.is_some();
    let windows = world.windows.borrow();
    let starts = windows.iter().filter(is_certain).filter_map(|of| of.start);
    let scenario = &world.scenario;
    let kept = scenario.levels.days.saturating_sub(scenario.skew());
    let is_kept = |start: &Timestamp| {
        let end = Day::of(Hour::of(*start)).end();
        world.clock.now() < end.plus(kept)
    };
    starts
        .filter(is_kept)
        .map(|start| Hour::of(start).date())
        .collect()
}

/// All windows are in day blocks, and no hour that is closed has segments.
fn check_merged(world: &World) {
    let keys = keys(world);
    for date in dates(world) {
        let folder = format!("/blocks/day/{date}/");
        let metas = keys
            .iter()
            .filter(|key| key.contains(&folder) && key.ends_with(META));
        let count = metas.count();
        if count != 1 {
            world.fail(format!(
                "{date} has {count} day blocks after it has settled"
            ));
        }
    }
    if let Some(key) = keys.iter().find(|key| key.contains("/segments/")) {
        world.fail(format!(
            "{key} was not deleted although its hour is settled"
        ));
    }
}

/// After its retention, a level has no objects.
fn check_without(world: &World, parts: &[&str], level: &str) {
    let left = |key: &String| parts.iter().any(|part| key.contains(part));
    let left: Vec<String> = keys(world).into_iter().filter(left).collect();
    if let Some(first) = left.first() {
        let count = left.len();
        world.fail(format!(
            "{count} objects remain after the retention of {level}; the first is {first}"
        ));
    }
}

/// Counts the history if it has a month block.
fn count_months(world: &World) {
    let is_of_month = |key: &String| key.contains("/blocks/month/") && key.ends_with(META);
    let has_month = keys(world).iter().any(is_of_month);
    world.count(|totals| totals.months += u64::from(has_month));
}

/// Each day or month has exactly one folder: those that killed processes left have been deleted.
fn check_one_block(world: &World, level: &str) {
    let (keys, part) = (keys(world), format!("/blocks/{level}/"));
    let folders: BTreeSet<&str> = keys
        .iter()
        .filter(|key| key.contains(&part))
        .filter_map(|key| Some(key.rsplit_once('/')?.0))
        .collect();
    let dates: BTreeSet<&str> = folders
        .iter()
        .filter_map(|folder| Some(folder.rsplit_once('/')?.0))
        .collect();
    if folders.len() != dates.len() {
        world.fail(format!(
            "{} {level}s have {} blocks: {folders:?}",
            dates.len(),
            folders.len()
        ));
    }
}
