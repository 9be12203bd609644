//! Tasks that live, and where each one waits.
//!
//! A task notes the stack at which its waker is taken, at its first poll and again when it is asked,
//! so that a list of all is a read of what is there, and stops nobody.

use crate::aggregate::{Aggregate, Filter};
use crate::unwind::{self, Registers};
use davy_tag::TaskNow;
use std::time::Duration;

/// How often tasks are asked: each once in a second, and less often where they are many, so that
/// all of them together spend no more than a thousandth of a CPU on it.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_EVERY_PER_TASK: Duration = Duration::from_micros(300);

/// A task that was polled after it told where it waits may wait elsewhere by now.
const OUTDATED: &str = "(polled since)";
const UNKNOWN: &str = "(not polled yet, or waits for no waker)";

/// Has tasks tell where they wait from now on.
pub(crate) fn start() {
    unwind::fill_pool();
    davy_tag::set_stack_source(stack);
}

/// How long to wait until tasks are asked again.
pub(crate) fn ask() -> Duration {
    davy_tag::ask_tasks();
    let tasks = u32::try_from(davy_tag::task_count()).unwrap_or(u32::MAX);
    ASK_EVERY.max(ASK_EVERY_PER_TASK.saturating_mul(tasks))
}

/// A [`davy_tag::StackSource`].
fn stack(below: usize, frames: &mut [u64]) -> usize {
    let here = Registers::here();
    let mut count = 0;
    unwind::with_cache(|cache| {
        unwind::walk_below(below, here, cache, |pc| {
            let Some(frame) = frames.get_mut(count) else {
                return false;
            };
            *frame = pc;
            count += 1;
            true
        });
    });
    count
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
pub(crate) fn add(aggregate: &mut Aggregate, task: &TaskNow<'_>) {
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
