//! Runs tasks on one thread and on simulated time, in an order that the seed decides.
//!
//! Time stands still while a task can run. When all wait, it moves to the next timer. Each process has a clock of its
//! own, which may be wrong, but all move together.

use davy_base::{Clock, Random};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The process that a task belongs to. Killing it drops its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(pub u32);

/// The process of clients and of the history itself, which is never killed.
pub(crate) const OUTSIDE: Process = Process(0);

/// What the executor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It ran a task of this process until its next `await`.
    Ran(Process),
    /// It moved time forward.
    Waited(Duration),
    /// No task can run and no timer is set.
    Idle,
}

/// Identifies a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(u64);

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    process: Process,
    work: Work,
    waker: Waker,
}

/// Tasks that can run.
#[derive(Default)]
struct Ready(Mutex<BTreeSet<TaskId>>);

impl Ready {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<TaskId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TaskWaker {
    id: TaskId,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().insert(self.id);
    }
}

/// The executor.
pub(crate) struct Executor {
    ready: Arc<Ready>,
    state: RefCell<State>,
}

struct State {
    tasks: BTreeMap<TaskId, Task>,
    next: u64,
    clocks: BTreeMap<Process, Clock>,
    /// Tasks that could run, of processes that are paused.
    paused: BTreeMap<Process, Vec<TaskId>>,
    random: Random,
}

impl Executor {
    /// An executor without tasks, whose own time is `clock`.
    pub(crate) fn new(clock: Clock, random: Random) -> Self {
        Self {
            ready: Arc::default(),
            state: RefCell::new(State {
                tasks: BTreeMap::new(),
                next: 0,
                clocks: [(OUTSIDE, clock)].into(),
                paused: BTreeMap::new(),
                random,
            }),
        }
    }

    /// Adds the clock of a process.
    pub(crate) fn add_clock(&self, process: Process, clock: Clock) {
        self.state.borrow_mut().clocks.insert(process, clock);
    }

    /// Adds a task.
    pub(crate) fn spawn(
        &self,
        process: Process,
        work: impl Future<Output = ()> + 'static,
    ) -> TaskId {
        let mut state = self.state.borrow_mut();
        let id = TaskId(state.next);
        state.next += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            ready: Arc::clone(&self.ready),
        }));
        let work: Work = Box::pin(work);
        state.tasks.insert(
            id,
            Task {
                process,
                work,
                waker,
            },
        );
        self.ready.lock().insert(id);
        id
    }

    /// Drops a task. One that is running ends itself.
    pub(crate) fn cancel(&self, id: TaskId) {
        // Dropped after the borrow has ended, because that can wake and spawn others.
        let task = self.state.borrow_mut().tasks.remove(&id);
        drop(task);
    }

    /// Drops the tasks of a process, and its clock.
    pub(crate) fn kill(&self, process: Process) {
        let killed: Vec<Task> = {
            let mut state = self.state.borrow_mut();
            state.clocks.remove(&process);
            state.paused.remove(&process);
            let of_process = |(_, task): &(&TaskId, &Task)| task.process == process;
            let ids: Vec<TaskId> = state
                .tasks
                .iter()
                .filter(of_process)
                .map(|(id, _)| *id)
                .collect();
            ids.iter().filter_map(|id| state.tasks.remove(id)).collect()
        };
        drop(killed);
    }

    /// Pauses a process: its tasks do not run until it is resumed. Its clock continues.
    pub(crate) fn pause(&self, process: Process) {
        self.state.borrow_mut().paused.entry(process).or_default();
    }

    /// Ends a pause.
    pub(crate) fn resume(&self, process: Process) {
        let held = self.state.borrow_mut().paused.remove(&process);
        self.ready.lock().extend(held.into_iter().flatten());
    }

    /// Drops all tasks.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut self.state.borrow_mut().tasks);
        drop(tasks);
    }

    /// Runs one of the tasks that can run, or moves time to the next timer.
    pub(crate) fn step(&self) -> Step {
        while let Some(id) = self.next_ready() {
            let task = self.state.borrow_mut().tasks.remove(&id);
            // A task that was cancelled or has ended can still be woken.
            let Some(mut task) = task else { continue };
            {
                let state = &mut *self.state.borrow_mut();
                if let Some(held) = state.paused.get_mut(&task.process) {
                    held.push(id);
                    state.tasks.insert(id, task);
                    continue;
                }
            }
            let waker = task.waker.clone();
            let mut context = Context::from_waker(&waker);
            let process = task.process;
            if task.work.as_mut().poll(&mut context) == Poll::Pending {
                self.state.borrow_mut().tasks.insert(id, task);
            }
            return Step::Ran(process);
        }
        self.advance()
    }

    fn next_ready(&self) -> Option<TaskId> {
        let mut ready = self.ready.lock();
        let which = self.state.borrow_mut().random.below(ready.len() as u64);
        let id = *ready.iter().nth(which as usize)?;
        ready.remove(&id);
        Some(id)
    }

    fn advance(&self) -> Step {
        let state = self.state.borrow();
        let left = |clock: &Clock| Some(clock.next_deadline()?.saturating_sub(clock.monotonic()));
        let Some(span) = state.clocks.values().filter_map(left).min() else {
            return Step::Idle;
        };
        for clock in state.clocks.values() {
            clock.advance(span);
        }
        Step::Waited(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_base::Timestamp;
    use std::rc::Rc;

    #[test]
    fn time_advances_to_the_next_timer_of_any_process_and_all_clocks_advance_together() {
        let outside = Clock::manual(Timestamp::from_seconds(100));
        let executor = Executor::new(outside.clone(), Random::seeded(1));
        let fast = Clock::manual(Timestamp::from_seconds(400));
        executor.add_clock(Process(1), fast.clone());
        let seen = Rc::new(RefCell::new(Vec::new()));
        for (process, clock, seconds) in [(OUTSIDE, &outside, 7), (Process(1), &fast, 3)] {
            let (clock, seen) = (clock.clone(), Rc::clone(&seen));
            executor.spawn(process, async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                seen.borrow_mut().push(clock.now().seconds());
            });
        }
        while executor.step() != Step::Idle {}
        assert_eq!(*seen.borrow(), [403, 107]);
        assert_eq!(fast.now().seconds(), 407);
    }

    #[test]
    fn paused_process_continues_when_it_is_resumed() {
        let outside = Clock::manual(Timestamp::EPOCH);
        let executor = Executor::new(outside.clone(), Random::seeded(1));
        let clock = Clock::manual(Timestamp::EPOCH);
        executor.add_clock(Process(1), clock.clone());
        let end = Rc::new(RefCell::new(None));
        let (of, now) = (Rc::clone(&end), clock.clone());
        executor.spawn(Process(1), async move {
            now.sleep(Duration::from_secs(1)).await;
            *of.borrow_mut() = Some(now.now().seconds());
        });
        assert_eq!(executor.step(), Step::Ran(Process(1)));
        executor.pause(Process(1));
        executor.spawn(OUTSIDE, async move {
            outside.sleep(Duration::from_mins(1)).await;
        });
        while executor.step() != Step::Idle {}
        executor.resume(Process(1));
        while executor.step() != Step::Idle {}
        assert_eq!(*end.borrow(), Some(60));
    }

    #[test]
    fn killed_process_loses_its_tasks_and_timers() {
        let outside = Clock::manual(Timestamp::EPOCH);
        let executor = Executor::new(outside, Random::seeded(1));
        let clock = Clock::manual(Timestamp::EPOCH);
        executor.add_clock(Process(1), clock.clone());
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        executor.spawn(Process(1), async move {
            clock.sleep(Duration::from_secs(1)).await;
            let _ = send.send(());
        });
        assert_eq!(executor.step(), Step::Ran(Process(1)));
        executor.kill(Process(1));
        assert_eq!(executor.step(), Step::Idle);
        assert!(receive.blocking_recv().is_err());
    }
}
