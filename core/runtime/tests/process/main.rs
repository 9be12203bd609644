//! What a process promises of its members.

mod children;
mod falls;
mod leaks;
mod operators;
mod order;
mod stops;

use davy_base::{Clock, Random};
use davy_runtime::{Builder, Context, Kind, Member, MemberState, Process, State, States, Stop};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().expect("nobody panics here").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics here"))
    }
}

fn process() -> Builder {
    Process::new(Clock::system()).random(Random::seeded(1))
}

/// Is ready at once, and ends when it is told to.
fn good(name: &str) -> Member {
    Member::new(name, Kind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        Ok(())
    })
}

/// A good member that notes its start and its end.
fn logging(name: &str, log: &Log) -> Member {
    let log = log.clone();
    Member::new(name, Kind::Loop, move |context: Context| {
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

/// How long a test waits for what must come: mostly of the paused clock, so that nothing hangs.
const PATIENCE: Duration = Duration::from_mins(20);

async fn until(states: &States, name: &str, state: State) {
    until_it(states, name, |member| member.state == state).await;
}

async fn until_it(states: &States, name: &str, is: impl Fn(&MemberState) -> bool) {
    let holds = |states: &States| states.get(name).is_some_and(|member| is(&member));
    let waited = tokio::time::timeout(PATIENCE, states.until(holds)).await;
    assert!(
        waited.is_ok(),
        "{name} never came to it: {:#?}",
        states.all()
    );
}

/// Runs a process in the background, as the paused clock wants it.
fn spawn(process: Builder) -> (davy_runtime::Handle, Stop, Running) {
    let (process, stop) = (process.build().expect("it is well-formed"), Stop::new());
    let (handle, running) = (process.handle(), tokio::spawn(process.run(stop.clone())));
    (handle, stop, running)
}

type Running = tokio::task::JoinHandle<davy_runtime::Trace>;

async fn ended(running: Running) -> davy_runtime::Trace {
    let ended = tokio::time::timeout(PATIENCE, running).await;
    let ended = ended.expect("the process ends");
    ended.expect("the supervisor does not panic")
}

fn name_of(member: &MemberState) -> &str {
    &member.name
}

/// Falls at once in its first `falls` runs, then is good.
fn falling(name: &str, kind: Kind, falls: u64) -> Member {
    Member::new(name, kind, move |context: Context| async move {
        if context.run_number() <= falls {
            return Err(format!("run {} is too early", context.run_number()).into());
        }
        context.ready();
        context.draining().await;
        Ok(())
    })
}
