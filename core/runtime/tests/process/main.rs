//! What the supervisor guarantees: order, restarts, deadlines, commands, children.

mod cgroups;
mod children;
mod commands;
mod failures;
mod leaks;
mod ordering;
mod shutdown;

use davy_base::{Clock, Random, Timestamp};
use davy_runtime::{
    Builder, Context, Member, MemberKind, MemberState, Process, State, States, Stop,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records events in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().expect("not poisoned").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

/// A clock that starts now and follows tokio's time, which most tests pause.
fn clock() -> Clock {
    Clock::tokio(Timestamp::EPOCH)
}

fn process() -> Builder {
    Process::new(clock()).random(Random::seeded(1))
}

/// A member that is ready immediately and drains when it is asked to.
fn healthy(name: &str) -> Member {
    Member::new(name, MemberKind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        Ok(())
    })
}

/// A healthy member that logs its start and its end.
fn logging(name: &str, log: &Log) -> Member {
    let log = log.clone();
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let log = log.clone();
        async move {
            log.note(format!("{} starts", context.name()));
            context.ready();
            context.draining().await;
            log.note(format!("{} stops", context.name()));
            Ok(())
        }
    })
}

/// How long a test waits for an expected event, mostly in paused time.
const TIMEOUT: Duration = Duration::from_mins(20);

async fn until(states: &States, name: &str, state: State) {
    until_it(states, name, |member| member.state == state).await;
}

async fn until_it(states: &States, name: &str, is: impl Fn(&MemberState) -> bool) {
    let holds = |states: &States| states.get(name).is_some_and(|member| is(&member));
    let waited = clock().timeout(TIMEOUT, states.until(holds)).await;
    assert!(
        waited.is_ok(),
        "timed out waiting for {name}: {:#?}",
        states.all()
    );
}

/// Runs a process in a spawned task, so that paused time advances.
fn spawn(process: Builder) -> (davy_runtime::Handle, Stop, Running) {
    let (process, stop) = (process.build().expect("valid members"), Stop::new());
    let (handle, running) = (process.handle(), tokio::spawn(process.run(stop.clone())));
    (handle, stop, running)
}

type Running = tokio::task::JoinHandle<davy_runtime::Trace>;

async fn ended(running: Running) -> davy_runtime::Trace {
    let ended = clock().timeout(TIMEOUT, running).await;
    let ended = ended.expect("the process ends");
    ended.expect("the supervisor does not panic")
}

fn name_of(member: &MemberState) -> &str {
    &member.name
}

/// A member whose first `failures` runs fail immediately, and that is healthy afterwards.
fn failing(name: &str, kind: MemberKind, failures: u64) -> Member {
    Member::new(name, kind, move |context: Context| async move {
        if context.run_number() <= failures {
            return Err(format!("run {} fails", context.run_number()).into());
        }
        context.ready();
        context.draining().await;
        Ok(())
    })
}
