//! Members in order: started one after the other, stopped in reverse.

use crate::member::{Context, Error, Member};
use crate::state::{State, States};
use crate::trace::{End, Ending, Trace};
use davy_base::Clock;
use std::any::Any;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// The members of a unix process.
pub struct Process {
    members: Vec<Member>,
    states: States,
}

struct Running {
    name: String,
    task: JoinHandle<Result<(), Error>>,
    drain: CancellationToken,
    stop_deadline: Duration,
}

impl Process {
    /// A process without members.
    pub fn new(clock: Clock) -> Self {
        Self {
            members: Vec::new(),
            states: States::new(clock),
        }
    }

    /// Adds a member, to be started after those added before.
    pub fn member(mut self, member: Member) -> Self {
        self.states.set(&member.name, State::Waiting, None);
        self.members.push(member);
        self
    }

    /// What the members are doing.
    pub fn states(&self) -> States {
        self.states.clone()
    }

    /// Runs until `drain` is cancelled or a member ends, then stops everything.
    pub async fn run(self, drain: CancellationToken) -> Trace {
        let Self { members, states } = self;
        let mut running: Vec<Running> = Vec::with_capacity(members.len());
        let mut trace = Trace::default();
        for member in members {
            let (next, ready) = start(member, &states);
            running.push(next);
            if let Some(end) = until_ready(&mut running, ready, &drain).await {
                record(&mut trace, &states, end);
            }
            if drain.is_cancelled() || !trace.0.is_empty() {
                break;
            }
        }
        if trace.0.is_empty() {
            tokio::select! {
                () = drain.cancelled() => {}
                end = first_end(&mut running) => record(&mut trace, &states, end),
            }
        }
        while let Some(last) = running.pop() {
            let end = stop(last, &states).await;
            record(&mut trace, &states, end);
        }
        trace
    }
}

fn start(member: Member, states: &States) -> (Running, watch::Receiver<bool>) {
    let Member {
        name,
        run,
        stop_deadline,
    } = member;
    let (ready, is_ready) = watch::channel(false);
    let drain = CancellationToken::new();
    states.set(&name, State::Starting, None);
    let context = Context {
        name: name.clone(),
        drain: drain.clone(),
        ready,
        states: states.clone(),
    };
    // The closure runs inside the task: a panic before its first await is the member's too.
    let task = tokio::spawn(davy_tag::tagged(
        &name,
        "run",
        async move { run(context).await },
    ));
    (
        Running {
            name,
            task,
            drain,
            stop_deadline,
        },
        is_ready,
    )
}

/// Waits for the newest member to be ready; gives the end that came instead.
async fn until_ready(
    running: &mut Vec<Running>,
    mut ready: watch::Receiver<bool>,
    drain: &CancellationToken,
) -> Option<End> {
    let became_ready = async {
        // The sender goes with the member: its end is what the other branch sees.
        if ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = became_ready => None,
        end = first_end(running) => Some(end),
        () = drain.cancelled() => None,
    }
}

/// The first member to end although nobody told it to; it is taken out of `running`.
async fn first_end(running: &mut Vec<Running>) -> End {
    if running.is_empty() {
        return std::future::pending().await;
    }
    let (result, index, _) =
        futures_util::future::select_all(running.iter_mut().map(|member| &mut member.task)).await;
    let member = running.remove(index);
    let ending = match result {
        Ok(Ok(())) => Ending::Early,
        Ok(Err(error)) => Ending::Failed(chain(error.as_ref())),
        Err(error) => panicked(error),
    };
    End {
        member: member.name,
        ending,
    }
}

async fn stop(member: Running, states: &States) -> End {
    let Running {
        name,
        mut task,
        drain,
        stop_deadline,
    } = member;
    states.set(&name, State::Draining, None);
    drain.cancel();
    let ending = match tokio::time::timeout(stop_deadline, &mut task).await {
        Ok(Ok(Ok(()))) => Ending::Drained,
        Ok(Ok(Err(error))) => Ending::Failed(chain(error.as_ref())),
        Ok(Err(error)) => panicked(error),
        Err(_) => {
            task.abort();
            Ending::Overran
        }
    };
    End {
        member: name,
        ending,
    }
}

fn record(trace: &mut Trace, states: &States, end: End) {
    if end.ending == Ending::Drained {
        tracing::debug!(member = end.member, "member drained");
        states.set(&end.member, State::Stopped, None);
    } else {
        tracing::error!(member = end.member, "{end}");
        states.set(&end.member, State::Failed, Some(end.to_string()));
    }
    trace.0.push(end);
}

fn panicked(error: JoinError) -> Ending {
    match error.try_into_panic() {
        Ok(payload) => Ending::Panicked(message(payload.as_ref())),
        Err(error) => Ending::Failed(error.to_string()),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
