//! A named unit of long-running work.

use crate::child;
use crate::context::Context;
use crate::policy::{self, Kind, Limits};
use futures_util::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What a member may fail with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type Run = Arc<dyn Fn(Context) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// A unit of long-running work: the unit that an operator places, toggles and reads the usage of.
#[derive(Clone)]
pub struct Member {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) after: Vec<String>,
    /// `None` where the work is done by requests that others take in.
    pub(crate) run: Option<Run>,
    pub(crate) limits: Limits,
    /// Whether it is cut off by being killed rather than aborted.
    pub(crate) is_process: bool,
    /// Whether it runs on the supervisor's own runtime.
    pub(crate) is_beside_supervisor: bool,
}

impl Member {
    /// A member that runs `run` until it is told to drain. It is called once for every run: what a run
    /// uses up, such as a listener, has to be made in it.
    pub fn new<F, R>(name: &str, kind: Kind, run: R) -> Self
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

    /// A member without a task of its own: its work is done by requests that others take in. Only its
    /// state changes; those others ask for it.
    pub fn served(name: &str) -> Self {
        Self::with(name, Kind::Listener, None)
    }

    /// A unix process, supervised exactly as a task is. `command` is called once for every run.
    ///
    /// The child is ready when it says so by [`crate::notify_ready`] (`sd_notify` in other languages),
    /// is drained by SIGTERM, and killed with its process group by SIGKILL past its deadline. It leads
    /// a process group of its own, so that a Ctrl-C reaches only the supervisor, which then stops it in
    /// its turn; it reads nothing from the terminal; it is killed when the supervisor dies.
    pub fn child<C>(name: &str, command: C) -> Self
    where
        C: Fn() -> tokio::process::Command + Send + Sync + 'static,
    {
        let command = Arc::new(command);
        let keep = move |context| child::keep(context, command());
        let child = Self {
            is_process: true,
            ..Self::new(name, Kind::Child, keep)
        };
        child.beside_supervisor()
    }

    fn with(name: &str, kind: Kind, run: Option<Run>) -> Self {
        Self {
            name: name.into(),
            kind,
            after: Vec::new(),
            run,
            limits: policy::limits(kind),
            is_process: false,
            is_beside_supervisor: false,
        }
    }

    /// Starts when these are ready, and stops before they do.
    pub fn after<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// How long it may take from the drain to its end; then it is cut off.
    pub fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.limits.stop_deadline = deadline;
        self.limits = self.limits.with_reachable_span();
        self
    }

    /// How long it may take from its start until it is ready; then it is stopped, which counts as a fall.
    pub fn ready_deadline(mut self, deadline: Duration) -> Self {
        self.limits.ready_deadline = deadline;
        self.limits = self.limits.with_reachable_span();
        self
    }

    /// It runs on the supervisor's own runtime, not on that of [`crate::Builder::workers`]: for what
    /// must answer also while every worker is busy or hangs. Such a member never blocks its thread.
    /// Children are supervised there in any case.
    pub fn beside_supervisor(mut self) -> Self {
        self.is_beside_supervisor = true;
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
