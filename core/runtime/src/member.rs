//! A named task with readiness, a drain token and a stop deadline.

use crate::state::{State, States};
use futures_util::future::BoxFuture;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a member may fail with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

type Run = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<(), Error>> + Send>;

/// How long a member may take to stop unless it says otherwise.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A unit of long-running work: the unit that an operator places, switches and reads the bill of.
pub struct Member {
    pub(crate) name: String,
    pub(crate) run: Run,
    pub(crate) stop_deadline: Duration,
}

impl Member {
    /// A member that runs `run` until it is told to drain.
    pub fn new<F, R>(name: &str, run: R) -> Self
    where
        R: FnOnce(Context) -> F + Send + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self {
            name: name.to_owned(),
            run: Box::new(move |context| Box::pin(run(context))),
            stop_deadline: STOP_DEADLINE,
        }
    }

    /// A member without a task of its own: its work is done by requests that others take in.
    pub fn served(name: &str) -> Self {
        Self::new(name, |context| async move {
            context.ready();
            context.draining().await;
            Ok(())
        })
    }

    /// How long it may take from the drain to its end; then it is aborted.
    pub fn stop_deadline(mut self, deadline: Duration) -> Self {
        self.stop_deadline = deadline;
        self
    }
}

/// What a running member is handed.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) name: String,
    pub(crate) drain: CancellationToken,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) states: States,
}

impl Context {
    /// The member's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says that the member does its work from now on; later calls change nothing.
    pub fn ready(&self) {
        if !self.ready.send_replace(true) {
            self.states.set(&self.name, State::Ready, None);
        }
    }

    /// Returns when the member is to finish what it has and end.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// The token behind [`Context::draining`], to be handed on.
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// A task of this member, tagged with one of its operations.
    pub fn spawn<F>(&self, op: &str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(davy_tag::tagged(&self.name, op, future))
    }
}
