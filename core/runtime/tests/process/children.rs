//! Unix processes as members. The children are this test's own executable in a role.

use crate::{Log, Running, logging, process, spawn};
use davy_runtime::{Context, Ending, Kind, Member, State, States, Stop, Trace, notify_ready};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const ROLE: &str = "DAVY_RUNTIME_TEST_ROLE";

/// Not a test of its own: what a child does. Without a role it is none.
#[test]
fn as_a_child() {
    let Ok(my_role) = std::env::var(ROLE) else {
        return;
    };
    match my_role.as_str() {
        "good" => {
            notify_ready().expect("the supervisor listens");
            park();
        }
        "stubborn" => {
            // SAFETY: to ignore a signal installs no handler.
            unsafe {
                libc::signal(libc::SIGTERM, libc::SIG_IGN);
            }
            notify_ready().expect("the supervisor listens");
            park();
        }
        "mute" => park(),
        "supervisor" => supervise(),
        "leaver" => {
            let mut left = role("mute").into_std();
            let mut left = left.stdin(Stdio::null()).spawn().expect("it starts");
            notify_ready().expect("the supervisor listens");
            let _ = left.wait();
        }
        "slow" => drain_slowly(),
        status => std::process::exit(status.parse().expect("a role or a status")),
    }
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Keeps one good child, says its pid, and never stops.
fn supervise() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (handle, _stop, running) =
            spawn(process().member(Member::child("child", || role("good"))));
        until(&handle.states(), "child", State::Ready).await;
        let pid = pid(&handle.states()).expect("it runs");
        say(&pid.to_string());
        crate::ended(running).await;
    });
}

/// Says "draining" when a signal came, never drains, and says what came of it.
fn drain_slowly() {
    let slow = Member::new("slow", Kind::Loop, |context: Context| async move {
        context.ready();
        say("ready");
        context.draining().await;
        say("draining");
        std::future::pending::<()>().await;
        Ok(())
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let trace = runtime.block_on(async {
        let stop = Stop::on_signals().expect("signals");
        let slow = slow.stop_deadline(Duration::from_hours(1));
        let process = process().member(slow).build().expect("well-formed");
        process.run(stop).await
    });
    say(&trace.to_string());
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "\nsays {line}").expect("the test reads");
}

/// The next line that a child says, past what the test harness says.
fn heard(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).expect("text"),
            0,
            "it said no more"
        );
        if let Some(said) = line.trim().strip_prefix("says ") {
            return said.to_owned();
        }
    }
}

fn role(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "children::as_a_child",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, name);
    command
}

/// Without the noise of the test harness.
fn child(role_name: &'static str) -> Member {
    Member::child("child", move || {
        let mut command = role(role_name);
        command.stdout(Stdio::null());
        command
    })
}

fn pid(states: &States) -> Option<u32> {
    states.get("child")?.pid
}

/// Children live in real time.
const PATIENCE: Duration = Duration::from_secs(30);

async fn until(states: &States, name: &str, state: State) {
    let waited = tokio::time::timeout(PATIENCE, crate::until(states, name, state)).await;
    assert!(
        waited.is_ok(),
        "{name} never came to it: {:#?}",
        states.all()
    );
}

async fn ended(running: Running) -> Trace {
    let ended = tokio::time::timeout(PATIENCE, crate::ended(running)).await;
    ended.expect("the process ends")
}

fn kill(pid: u32, signal: i32) {
    // SAFETY: `kill` takes two numbers.
    let killed = unsafe { libc::kill(pid.cast_signed(), signal) };
    assert_eq!(killed, 0, "{pid} is gone");
}

#[tokio::test]
async fn a_child_is_ready_when_it_says_so_and_is_drained_by_sigterm() {
    let log = Log::default();
    let built = process()
        .member(child("good"))
        .member(logging("after", &log).after(["child"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "after", State::Ready).await;
    let group = {
        let pid = pid(&handle.states()).expect("it runs").cast_signed();
        // SAFETY: `getpgid` takes a number.
        unsafe { (pid, libc::getpgid(pid)) }
    };
    assert_eq!(group.0, group.1, "it leads a group of its own");
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.to_string(), "after drained; then child drained");
    assert_eq!(pid(&handle.states()), None);
}

#[tokio::test]
async fn a_killed_child_is_started_again_and_nobody_else_blinks() {
    let log = Log::default();
    let built = process()
        .member(child("good"))
        .member(logging("after", &log).after(["child"]))
        .member(logging("other", &log));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "after", State::Ready).await;
    until(&handle.states(), "other", State::Ready).await;
    log.take();
    let first = pid(&handle.states()).expect("it runs");
    kill(first, libc::SIGKILL);
    until(&handle.states(), "child", State::BackingOff).await;
    let error = handle.states().get("child").and_then(|child| child.error);
    assert_eq!(error.as_deref(), Some("was killed by signal 9"));
    until(&handle.states(), "child", State::Ready).await;
    let child = handle.states().get("child").expect("it is known");
    assert_eq!(child.restarts, 1);
    assert!(child.pid.is_some_and(|pid| pid != first));
    assert!(log.take().is_empty());
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.ends()[0].ending, Ending::Killed(9));
    assert!(trace.is_clean(), "{trace}");
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_at_its_deadline() {
    let stubborn = child("stubborn").stop_deadline(Duration::from_millis(50));
    let (handle, stop, running) = spawn(process().member(stubborn));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(
        trace.to_string(),
        "child did not stop within 50ms and was cut off"
    );
}

#[tokio::test]
async fn a_second_signal_kills_a_child_at_once() {
    let stubborn = child("stubborn").stop_deadline(Duration::from_hours(1));
    let (handle, stop, running) = spawn(process().member(stubborn));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    until(&handle.states(), "child", State::Draining).await;
    stop.hurry();
    assert_eq!(ended(running).await.ends()[0].ending, Ending::Hurried);
}

#[tokio::test]
async fn a_child_that_says_nothing_is_not_ready() {
    let mute = child("mute").ready_deadline(Duration::from_millis(200));
    let (handle, stop, running) = spawn(process().member(mute));
    until(&handle.states(), "child", State::BackingOff).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(
        trace.ends()[0].to_string(),
        "child was not ready within 200ms (restarted)"
    );
}

#[tokio::test]
async fn how_a_child_ended_is_told() {
    let check = async |member: Member, expected: &str| {
        let (handle, stop, running) = spawn(process().member(member));
        until(&handle.states(), "child", State::BackingOff).await;
        let error = handle.states().get("child").and_then(|child| child.error);
        assert_eq!(error.as_deref(), Some(expected));
        stop.hurry();
        ended(running).await;
    };
    check(child("3"), "exited with status 3").await;
    check(child("0"), "exited with status 0").await;
    check(
        Member::child("child", || Command::new("/no/such/program")),
        "failed: /no/such/program can't be started: No such file or directory (os error 2)",
    )
    .await;
}

#[test]
fn a_child_dies_with_its_supervisor_even_by_kill_9() {
    let mut supervisor = role("supervisor").into_std();
    let mut supervisor = supervisor
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(supervisor.stdout.take().expect("it is piped"));
    let child: u32 = heard(&mut output).parse().expect("a pid");
    kill(child, 0);
    supervisor.kill().expect("it runs");
    assert_eq!(
        supervisor.wait().expect("it ended").signal(),
        Some(libc::SIGKILL)
    );
    // The child holds the other end of the pipe until it is dead, too.
    output.read_to_end(&mut Vec::new()).expect("the pipe ends");
}

#[test]
fn the_first_signal_drains_and_the_second_stops_at_once() {
    let mut slow = role("slow").into_std();
    let mut slow = slow.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(slow.stdout.take().expect("it is piped"));
    assert_eq!(heard(&mut output), "ready");
    kill(slow.id(), libc::SIGTERM);
    assert_eq!(heard(&mut output), "draining");
    kill(slow.id(), libc::SIGINT);
    assert_eq!(
        heard(&mut output),
        "slow was cut off, for the stop had to be at once"
    );
    assert!(slow.wait().expect("it ended").success());
}

#[tokio::test]
async fn what_a_child_leaves_in_its_group_is_killed_with_it() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let leaver = Member::child("child", move || {
        let mut command = role("leaver");
        command.stdout(writer.try_clone().expect("a pipe"));
        command
    });
    let (handle, stop, running) = spawn(process().member(leaver));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    assert!(ended(running).await.is_clean());
    // Whoever is left would hold the other end.
    let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
    let read = tokio::time::timeout(PATIENCE, read).await;
    read.expect("nobody is left")
        .expect("no panic")
        .expect("the pipe ends");
}
