//! Live tasks, and where each one waits.
//!
//! A task notes the stack at which it takes its waker, at its first poll and again whenever it is asked
//! to. So listing all tasks only reads these notes and stops no task.

use crate::aggregate::{Aggregate, Filter};
use crate::task_stacks::UNKNOWN;
use davy_tag::TaskSnapshot;
use std::time::Duration;

/// How often tasks are asked to note where they wait: once a second, or less often if there are many, so
/// that all of them together spend at most a thousandth of a CPU on it.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY_PER_TASK: Duration = Duration::from_micros(300);

/// The leaf of a task that was polled after it noted its stack, and may wait elsewhere now.
const OUTDATED: &str = "(polled since)";

/// Asks tasks to note where they wait, and returns how long to wait before the next call.
pub(crate) fn ask() -> Duration {
    davy_tag::ask_tasks();
    let tasks = u32::try_from(davy_tag::task_count()).unwrap_or(u32::MAX);
    ASK_EVERY.max(ASK_EVERY_PER_TASK.saturating_mul(tasks))
}

/// Adds the tasks that the filter keeps: polls, ages in nanoseconds, and their number.
pub(crate) fn snapshot(aggregate: &mut Aggregate, filter: &Filter) {
    davy_tag::for_each_task(|task| {
        if filter.keeps(task.tag) {
            add(aggregate, task);
        }
    });
}

/// Adds one task.
pub(crate) fn add(aggregate: &mut Aggregate, task: &TaskSnapshot<'_>) {
    let values = [task.polls as i64, task.age_nanos as i64, 1, 0];
    if task.frames.is_empty() {
        let unknown = aggregate.named(UNKNOWN);
        aggregate.add(&[unknown], false, task.tag, values);
    } else if task.is_outdated {
        let mut frames = vec![aggregate.named(OUTDATED)];
        frames.extend_from_slice(task.frames);
        aggregate.add(&frames, false, task.tag, values);
    } else {
        aggregate.add(task.frames, false, task.tag, values);
    }
}
