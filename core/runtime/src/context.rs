//! The handle that a running member gets.

use crate::cgroup_state::CgroupState;
use crate::state::States;
use crate::tasks::Tasks;
use davy_tag::Tag;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The message that a run is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) slot: usize,
    pub(crate) run: u64,
}

/// A run's handle to the supervisor. Cheap to clone; clones belong to the same run.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) name: Arc<str>,
    pub(crate) drain: CancellationToken,
    /// Cancelled to kill a child process. Tasks are aborted instead.
    pub(crate) kill: CancellationToken,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) states: States,
    pub(crate) is_ready: AtomicBool,
    /// Unbounded, but each run sends one message at most.
    pub(crate) readiness: mpsc::UnboundedSender<Ready>,
    pub(crate) slot: usize,
    pub(crate) run: u64,
    pub(crate) restarts: u64,
}

impl Context {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The member's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The number of this run of the member, counted from 1.
    pub fn run_number(&self) -> u64 {
        self.0.run
    }

    /// How often the member was restarted before this run, after failures and by operators.
    pub fn restarts(&self) -> u64 {
        self.0.restarts
    }

    /// Reports that the member is ready. Later calls have no effect.
    pub fn ready(&self) {
        if !self.0.is_ready.swap(true, Ordering::AcqRel) {
            let Inner { slot, run, .. } = *self.0;
            // The receiver is gone if the process has stopped.
            let _ = self.0.readiness.send(Ready { slot, run });
        }
    }

    /// Returns when the member must finish its work and end.
    pub async fn draining(&self) {
        self.0.drain.cancelled().await;
    }

    /// The token behind [`Context::draining`], to pass on.
    pub fn drain(&self) -> CancellationToken {
        self.0.drain.clone()
    }

    /// Spawns a task of this member, tagged with one of its operations. A task that outlives the run is
    /// cancelled and counted as leaked.
    #[track_caller]
    pub fn spawn<F>(&self, op: &str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let tag = Tag::new(self.name(), op);
        self.0.tasks.spawn(|alive| {
            tokio::spawn(tag.task(async move {
                let _alive = alive;
                future.await
            }))
        })
    }

    /// Spawns blocking work of this member, tagged with one of its operations. It cannot be cancelled
    /// once it has begun; work that outlives the run is counted as leaked.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, op: &str, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let tag = Tag::new(self.name(), op);
        self.0.tasks.spawn(|alive| {
            let _tag = tag.enter();
            davy_tag::spawn_blocking(move || {
                let _alive = alive;
                work()
            })
        })
    }

    pub(crate) async fn killed(&self) {
        self.0.kill.cancelled().await;
    }

    pub(crate) fn update_cgroup(&self, change: impl FnOnce(&mut CgroupState)) {
        self.0.states.update(&self.0.name, |member| {
            change(member.cgroup.get_or_insert_default());
        });
    }

    pub(crate) fn set_pid(&self, pid: Option<u32>) {
        self.0
            .states
            .update(&self.0.name, |member| member.pid = pid);
    }
}
