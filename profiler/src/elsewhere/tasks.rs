//! Tasks that live: how old they are and how often they were polled. Where they wait takes an unwinder
//! of our own, which is not here.

use crate::aggregate::{Aggregate, Filter};
use davy_tag::TaskNow;
use std::time::Duration;

const UNKNOWN: &str = "(where tasks wait is not known on this system)";

pub(crate) fn start() {}

pub(crate) fn ask() -> Duration {
    Duration::from_hours(1)
}

pub(crate) fn snapshot(aggregate: &mut Aggregate, filter: &Filter) {
    davy_tag::for_each_task(|task| {
        if filter.keeps(task.tag) {
            add(aggregate, task);
        }
    });
}

pub(crate) fn add(aggregate: &mut Aggregate, task: &TaskNow<'_>) {
    let values = [task.polls as i64, task.age_nanos as i64, 1, 0];
    let unknown = aggregate.named(UNKNOWN);
    aggregate.add(&[unknown], false, task.tag, values);
}
