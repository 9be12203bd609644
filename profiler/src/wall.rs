//! Elapsed time of threads, by tag and by state: running, runnable or waiting.
//!
//! Nothing is sampled. The kernel counts for each thread how long it was running and runnable, and exact
//! accounting counts for each tag how long threads had it and how much of that was CPU time. A profile is
//! the difference of two readings. Stacks of waiting threads are not taken, because that takes a signal to
//! each thread, and a signal interrupts system calls of the program.

mod proc;
mod states;

use crate::aggregate::{Aggregate, Filter};
use davy_tag::Tag;
use proc::ThreadCounters;
use rustc_hash::FxHashMap;
use states::States;
use std::time::Duration;

/// The counters of every thread and tag at an instant.
#[derive(Debug)]
pub(crate) struct WallReading {
    at: Duration,
    /// How many readings preceded it in its sequence.
    number: u32,
    threads: FxHashMap<i32, ThreadCounters>,
    tags: Vec<davy_tag::ThreadUsage>,
}

impl WallReading {
    /// Reads the counters. `at` is the current monotonic time.
    pub(crate) fn now(at: Duration) -> Self {
        Self {
            at,
            number: 0,
            tags: davy_tag::threads(),
            threads: proc::threads(None),
        }
    }

    /// The reading that follows this one in a sequence, which costs half as much. The names of threads are from this
    /// reading or one of the seven before, and their states are not read.
    pub(crate) fn next(&self, at: Duration) -> Self {
        let number = self.number.wrapping_add(1);
        Self {
            at,
            number,
            tags: davy_tag::threads(),
            threads: proc::threads(Some((&self.threads, number))),
        }
    }
}

/// Nanoseconds of CPU time and of elapsed time.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    cpu: u64,
    wall: u64,
}

/// Adds the elapsed time between two readings to an aggregate.
pub(crate) fn add(
    aggregate: &mut Aggregate,
    before: &WallReading,
    now: &WallReading,
    filter: &Filter,
) {
    let span = now.at.saturating_sub(before.at).as_nanos() as u64;
    let (mut by_thread, ended) = tag_times(before, now);
    for (id, thread) in &now.threads {
        let earlier = before
            .threads
            .get(id)
            .filter(|earlier| earlier.started == thread.started);
        let mut left = thread.since(earlier, span);
        let whole = left;
        for (tag, time) in by_thread.remove(id).unwrap_or_default() {
            let part = whole.part(time.cpu, time.wall);
            left = left.without(part);
            add_states(aggregate, &thread.name, tag, part, filter);
        }
        add_states(aggregate, &thread.name, Tag::UNTAGGED, left, filter);
    }
    for (tag, time) in ended.into_iter().chain(by_thread.into_values().flatten()) {
        let states = States {
            running: time.cpu,
            runnable: 0,
            waiting: time.wall.saturating_sub(time.cpu),
        };
        add_states(aggregate, "(threads that ended)", tag, states, filter);
    }
}

/// The time of each tag.
type Times = Vec<(Tag, Time)>;

/// Times between two readings: of the threads that are alive, and of those that ended.
fn tag_times(before: &WallReading, now: &WallReading) -> (FxHashMap<i32, Times>, Times) {
    let mut by_thread: FxHashMap<i32, Times> = FxHashMap::default();
    let mut ended = Vec::new();
    for usage in &now.tags {
        let earlier = before.tags.get(usage.counters);
        let mut earlier = earlier
            .map_or(&[][..], |usage| &usage.times)
            .iter()
            .peekable();
        for time in &usage.times {
            // Both are sorted by tag, and a tag that was counted once is in every later reading.
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

fn add_states(aggregate: &mut Aggregate, thread: &str, tag: Tag, states: States, filter: &Filter) {
    if !filter.keeps(tag) {
        return;
    }
    let root = aggregate.named(thread);
    for (name, nanos) in [
        ("(running)", states.running),
        ("(runnable, waiting for a CPU)", states.runnable),
        ("(waiting)", states.waiting),
    ] {
        if nanos > 0 {
            let leaf = aggregate.named(name);
            aggregate.add(&[leaf, root], false, tag, [nanos as i64, 0, 0, 0]);
        }
    }
}

/// Adds every thread with its tag and its time in each state since it started.
pub(crate) fn add_threads(aggregate: &mut Aggregate, now: &WallReading, filter: &Filter) {
    let tags: FxHashMap<i32, Tag> = now
        .tags
        .iter()
        .filter_map(|usage| Some((usage.thread?, usage.tag)))
        .collect();
    for (id, thread) in &now.threads {
        let tag = tags.get(id).copied().unwrap_or_default();
        if filter.keeps(tag) {
            let states = thread.since(None, u64::MAX);
            let (root, leaf) = (
                aggregate.named(&thread.name),
                aggregate.named(thread.state()),
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

    fn set_name(name: &str) {
        std::fs::write("/proc/thread-self/comm", name).expect("/proc is mounted");
    }

    #[test]
    fn a_renamed_thread_has_its_new_name_in_one_of_eight_readings() {
        let clock = davy_base::Clock::system();
        let (renamed, is_renamed) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            set_name("first");
            // SAFETY: returns a number.
            begin
                .send(unsafe { libc::gettid() })
                .expect("the test waits for it");
            let _ = ended.recv();
            set_name("second");
            renamed.send(()).expect("the test waits for it");
            let _ = ended.recv();
        });
        let id = begun.recv().expect("the thread has begun");
        let mut reading = WallReading::now(clock.monotonic());
        let first = reading.threads[&id].clone();
        assert_eq!(first.name, "first");
        end.send(()).expect("the thread waits for it");
        is_renamed.recv().expect("the thread renamed itself");
        let mut names = Vec::new();
        for _ in 0..8 {
            reading = reading.next(clock.monotonic());
            let thread = &reading.threads[&id];
            assert_eq!(thread.started, first.started);
            names.push(thread.name.clone());
        }
        assert_eq!(names.last().map(String::as_str), Some("second"));
        end.send(()).expect("the thread waits for it");
        thread.join().expect("no panic");
    }

    #[test]
    fn waiting_time_is_attributed_to_the_tag_and_sums_to_the_elapsed_time() {
        let clock = davy_base::Clock::system();
        let tag = Tag::new("wall", "waits");
        davy_tag::start_accounting();
        let (begin, begun) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("wall-test".to_owned());
        let thread = thread.spawn(move || {
            let _guard = tag.enter();
            begin.send(()).expect("the test waits for it");
            let _ = ended.recv();
        });
        begun.recv().expect("the thread entered its tag");
        let before = WallReading::now(clock.monotonic());
        let (_sender, receiver) = mpsc::channel::<()>();
        let _ = receiver.recv_timeout(Duration::from_millis(60));
        let now = before.next(clock.monotonic());
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
        // A reading is not taken in one instant.
        let about = span * 8 / 10..=span * 11 / 10;
        assert!(about.contains(&sum(tag)), "{} of {span}", sum(tag));
        assert!(sum(Tag::UNTAGGED) < span / 5);
        drop(end);
        thread.expect("thread started").join().expect("no panic");
    }
}
