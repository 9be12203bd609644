//! Elapsed time of threads: who had them, and whether they ran, could have run, or waited.
//!
//! Nothing is sampled. The kernel counts for each thread how long it ran and how long it was ready
//! to, and exact accounting counts for each tag how long it had a thread and how much of that was
//! CPU time; a span is the difference of two readings. Stacks of threads that wait are not taken:
//! that takes a signal to each, and a signal ends system calls that the program is in the middle of.

mod kernel;

use crate::aggregate::{Aggregate, Filter};
use davy_tag::Tag;
use kernel::Kernel;
use rustc_hash::FxHashMap;
use std::time::Duration;

/// What had been counted at an instant.
#[derive(Debug)]
pub(crate) struct Counted {
    at: Duration,
    threads: FxHashMap<i32, Kernel>,
    tags: Vec<davy_tag::ThreadUsage>,
}

impl Counted {
    /// What has been counted by now, an instant of the monotonic clock.
    pub(crate) fn now(at: Duration) -> Self {
        Self {
            at,
            tags: davy_tag::threads(),
            threads: kernel::threads(),
        }
    }
}

/// CPU time and elapsed time.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    cpu: u64,
    wall: u64,
}

/// Elapsed nanoseconds in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct States {
    running: u64,
    runnable: u64,
    waiting: u64,
}

impl States {
    /// A tag's part of a thread's time. How long it was ready to run nobody counts; the thread's
    /// own proportion is taken for it.
    fn part(self, time: Time) -> Self {
        let off = time.wall.saturating_sub(time.cpu);
        let of = (self.runnable + self.waiting).max(1) as f64;
        let runnable = (off as f64 * self.runnable as f64 / of) as u64;
        Self {
            running: time.cpu,
            runnable,
            waiting: off - runnable,
        }
    }

    fn less(self, part: Self) -> Self {
        Self {
            running: self.running.saturating_sub(part.running),
            runnable: self.runnable.saturating_sub(part.runnable),
            waiting: self.waiting.saturating_sub(part.waiting),
        }
    }
}

/// Adds the elapsed time between two readings to an aggregate.
pub(crate) fn add(aggregate: &mut Aggregate, before: &Counted, now: &Counted, filter: &Filter) {
    let span = now.at.saturating_sub(before.at).as_nanos() as u64;
    let (mut by_thread, ended) = tag_times(before, now);
    for (id, kernel) in &now.threads {
        let earlier = before.threads.get(id).filter(|e| e.began == kernel.began);
        let mut left = kernel.since(earlier, span);
        let whole = left;
        for (tag, time) in by_thread.remove(id).unwrap_or_default() {
            let part = whole.part(time);
            left = left.less(part);
            put(aggregate, &kernel.name, tag, part, filter);
        }
        put(aggregate, &kernel.name, Tag::UNTAGGED, left, filter);
    }
    for (tag, time) in ended.into_iter().chain(by_thread.into_values().flatten()) {
        let states = States {
            running: time.cpu,
            runnable: 0,
            waiting: time.wall.saturating_sub(time.cpu),
        };
        put(aggregate, "(threads that ended)", tag, states, filter);
    }
}

/// Times between two readings, by the thread that has the counters now, and of those that ended.
type Times = Vec<(Tag, Time)>;

fn tag_times(before: &Counted, now: &Counted) -> (FxHashMap<i32, Times>, Times) {
    let mut by_thread: FxHashMap<i32, Times> = FxHashMap::default();
    let mut ended = Vec::new();
    for usage in &now.tags {
        let earlier = before.tags.get(usage.counters);
        let mut earlier = earlier
            .map_or(&[][..], |usage| &usage.times)
            .iter()
            .peekable();
        for time in &usage.times {
            // Both are in the order of their tags, and what was once counted stays.
            while earlier
                .next_if(|t| t.tag.index() < time.tag.index())
                .is_some()
            {}
            let earlier = earlier.next_if(|t| t.tag == time.tag);
            let (cpu, wall) = earlier.map_or((0, 0), |time| (time.cpu_nanos, time.wall_nanos));
            let time_since = Time {
                cpu: time.cpu_nanos.saturating_sub(cpu),
                wall: time.wall_nanos.saturating_sub(wall),
            };
            if time_since.wall == 0 {
                continue;
            }
            match usage.thread {
                Some(id) => by_thread
                    .entry(id)
                    .or_default()
                    .push((time.tag, time_since)),
                None => ended.push((time.tag, time_since)),
            }
        }
    }
    (by_thread, ended)
}

fn put(aggregate: &mut Aggregate, thread: &str, tag: Tag, states: States, filter: &Filter) {
    if !filter.keeps(tag) {
        return;
    }
    let root = aggregate.named(thread);
    for (name, nanos) in [
        ("(running)", states.running),
        ("(runnable, waits for a CPU)", states.runnable),
        ("(waiting)", states.waiting),
    ] {
        if nanos > 0 {
            let leaf = aggregate.named(name);
            aggregate.add(&[leaf, root], false, tag, [nanos as i64, 0, 0, 0]);
        }
    }
}

/// Adds every thread as it is now: what it did since it began, and who has it.
pub(crate) fn add_threads(aggregate: &mut Aggregate, now: &Counted, filter: &Filter) {
    let tags: FxHashMap<i32, Tag> = now
        .tags
        .iter()
        .filter_map(|usage| Some((usage.thread?, usage.tag)))
        .collect();
    for (id, kernel) in &now.threads {
        let tag = tags.get(id).copied().unwrap_or_default();
        if filter.keeps(tag) {
            let states = kernel.since(None, u64::MAX);
            let (root, leaf) = (
                aggregate.named(&kernel.name),
                aggregate.named(kernel.state()),
            );
            let values = [states.running, states.runnable, states.waiting, 1];
            aggregate.add(&[leaf, root], false, tag, values.map(|value| value as i64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_tags_wait_is_its_own_and_a_thread_has_no_more_time_than_passed() {
        let clock = davy_base::Clock::system();
        let tag = Tag::new("wall", "waits");
        davy_tag::start_accounting();
        let (begin, begun) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("wall-test".to_owned());
        let thread = thread.spawn(move || {
            let _guard = tag.enter();
            begin.send(()).expect("asked");
            let _ = ended.recv();
        });
        begun.recv().expect("begun");
        let before = Counted::now(clock.monotonic());
        let (_sender, receiver) = mpsc::channel::<()>();
        let _ = receiver.recv_timeout(Duration::from_millis(60));
        let now = Counted::now(clock.monotonic());
        let mut aggregate = Aggregate::default();
        add(&mut aggregate, &before, &now, &Filter::default());
        let (root, leaf) = (aggregate.named("wall-test"), aggregate.named("(waiting)"));
        let sum = |of: Tag| -> i64 {
            let samples = aggregate.samples.iter().filter(|((node, tag), _)| {
                let stack: Vec<_> = aggregate.stacks.leaf_to_root(*node).collect();
                let stack = stack.iter().map(|item| aggregate.addresses[*item as usize]);
                *tag == of && stack.eq([leaf, root])
            });
            samples.map(|(_, values)| values[0]).sum()
        };
        let span = now.at.saturating_sub(before.at).as_nanos() as i64;
        // Readings are not quite of one instant.
        let about = span * 8 / 10..=span * 11 / 10;
        assert!(about.contains(&sum(tag)), "{} of {span}", sum(tag));
        assert!(sum(Tag::UNTAGGED) < span / 5);
        drop(end);
        thread.expect("a thread").join().expect("no panic");
    }

    #[test]
    fn a_part_takes_its_share_of_what_was_runnable() {
        let whole = States {
            running: 50,
            runnable: 10,
            waiting: 30,
        };
        let part = whole.part(Time { cpu: 20, wall: 40 });
        assert_eq!((part.running, part.runnable, part.waiting), (20, 5, 15));
        let left = whole.less(part);
        assert_eq!((left.running, left.runnable, left.waiting), (30, 5, 15));
    }
}
