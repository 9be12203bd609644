//! A named unit of long-running work.

use crate::child::{self, ChildCgroup};
use crate::context::Context;
use crate::error::Error;
use crate::policy::{self, Limits, MemberKind};
use futures_util::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Run = Arc<dyn Fn(Context) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// A named unit of long-running work. Operators place and toggle it, and its usage is measured.
#[derive(Clone)]
pub struct Member {
    pub(crate) name: Arc<str>,
    pub(crate) kind: MemberKind,
    pub(crate) after: Vec<String>,
    /// `None` for a served member, which has no task of its own.
    pub(crate) run: Option<Run>,
    pub(crate) limits: Limits,
    /// Whether it is aborted by killing a child process rather than by aborting a task.
    pub(crate) is_process: bool,
    /// Whether it runs on the supervisor's runtime.
    pub(crate) is_on_supervisor_runtime: bool,
}

impl Member {
    /// A member that runs `run` until it is drained. `run` is called for every run, so it must create
    /// whatever a run consumes, for example a listener.
    pub fn new<F, R>(name: &str, kind: MemberKind, run: R) -> Self
    where
        R: Fn(Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self::with(
            name,
            kind,
            Some(Arc::new(move |context| Box::pin(run(context)))),
        )
    }

    /// A member without a task: other members do its work when requests arrive, and read its state.
    pub fn served(name: &str) -> Self {
        Self::with(name, MemberKind::Listener, None)
    }

    /// A child process, supervised like a task. `command` is called for every run.
    ///
    /// The child is ready when it calls [`crate::notify_ready`] (or `sd_notify`, in other languages). It
    /// is drained by SIGTERM; past its deadline, its process group is killed by SIGKILL. It leads a
    /// process group, so that Ctrl-C reaches only the supervisor, which then stops the child in order.
    /// Its standard input is empty. It is killed when the supervisor dies.
    pub fn child<C>(name: &str, command: C) -> Self
    where
        C: Fn() -> tokio::process::Command + Send + Sync + 'static,
    {
        Self::child_in(name, None, command)
    }

    /// As [`Member::child`], in a cgroup: what the child uses is limited and counted together with everything that it
    /// starts, and nothing of that outlives it.
    pub fn child_in<C>(name: &str, cgroup: Option<ChildCgroup>, command: C) -> Self
    where
        C: Fn() -> tokio::process::Command + Send + Sync + 'static,
    {
        let run = move |context| child::run(context, command(), cgroup.clone());
        let child = Self {
            is_process: true,
            ..Self::new(name, MemberKind::Child, run)
        };
        child.on_supervisor_runtime()
    }

    fn with(name: &str, kind: MemberKind, run: Option<Run>) -> Self {
        Self {
            name: name.into(),
            kind,
            after: Vec::new(),
            run,
            limits: policy::limits(kind),
            is_process: false,
            is_on_supervisor_runtime: false,
        }
    }

    /// The member starts when these are ready, and stops before they do.
    pub fn after<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets the time from the drain until the member is aborted.
    pub fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.limits.stop_deadline = deadline;
        self.limits = self.limits.with_sufficient_window();
        self
    }

    /// Sets the time from the start within which the member must be ready. Past it, the run is stopped,
    /// which counts as a failure.
    pub fn ready_deadline(mut self, deadline: Duration) -> Self {
        self.limits.ready_deadline = deadline;
        self.limits = self.limits.with_sufficient_window();
        self
    }

    /// Runs the member on the supervisor's runtime instead of that of [`crate::Builder::workers`], so that
    /// it responds even while every worker is busy or hangs. Such a member must never block its thread.
    /// Children are always supervised there.
    pub fn on_supervisor_runtime(mut self) -> Self {
        self.is_on_supervisor_runtime = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
