//! Child processes as members. The children are this test executable, run in a role.

use crate::{Log, Running, clock, logging, process, spawn};
use davy_runtime::{Context, Ending, Member, MemberKind, State, States, Stop, Trace, notify_ready};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const ROLE: &str = "DAVY_RUNTIME_TEST_ROLE";

/// What a child does in its role.
#[test]
#[ignore = "a child process of the other tests"]
fn as_a_child() {
    let Ok(my_role) = std::env::var(ROLE) else {
        davy_test_support::skip("runs only as a child process of other tests");
        return;
    };
    match my_role.as_str() {
        "healthy" => {
            notify_ready().expect("the supervisor listens");
            park();
        }
        "stubborn" => {
            // SAFETY: ignoring a signal installs no handler.
            unsafe {
                libc::signal(libc::SIGTERM, libc::SIG_IGN);
            }
            notify_ready().expect("the supervisor listens");
            park();
        }
        "mute" => park(),
        "hungry" => {
            notify_ready().expect("the supervisor listens");
            // Written, so that the kernel has to provide it.
            std::hint::black_box(vec![1_u8; 1 << 30]);
            park();
        }
        "supervisor" => supervise(),
        "orphaning" => {
            let mut orphan = role("mute").into_std();
            let mut orphan = orphan.stdin(Stdio::null()).spawn().expect("it starts");
            notify_ready().expect("the supervisor listens");
            let _ = orphan.wait();
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

/// Supervises one healthy child, prints its pid, and never stops.
fn supervise() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (handle, _stop, running) =
            spawn(process().member(Member::child("child", || role("healthy"))));
        until(&handle.states(), "child", State::Ready).await;
        let pid = pid(&handle.states()).expect("it runs");
        print(&pid.to_string());
        crate::ended(running).await;
    });
}

/// Prints "draining" after the first signal, never drains, and prints the trace in the end.
fn drain_slowly() {
    let slow = Member::new("slow", MemberKind::Loop, |context: Context| async move {
        context.ready();
        print("ready");
        context.draining().await;
        print("draining");
        std::future::pending::<()>().await;
        Ok(())
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let trace = runtime.block_on(async {
        let stop = Stop::on_signals().expect("signals");
        let slow = slow.stop_deadline(Duration::from_hours(1));
        let process = process().member(slow).build().expect("valid members");
        process.run(stop).await
    });
    print(&trace.to_string());
}

fn print(line: &str) {
    writeln!(std::io::stdout(), "\nchild: {line}").expect("the test reads");
}

/// The next line that a child printed, without the lines of the test harness.
fn next_line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).expect("text"),
            0,
            "the output ended"
        );
        if let Some(text) = line.trim().strip_prefix("child: ") {
            return text.to_owned();
        }
    }
}

pub(super) fn role(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "children::as_a_child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, name);
    command
}

/// A child whose standard output is discarded.
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

/// Children run in real time.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn until(states: &States, name: &str, state: State) {
    let waited = clock()
        .timeout(TIMEOUT, crate::until(states, name, state))
        .await;
    assert!(
        waited.is_ok(),
        "timed out waiting for {name}: {:#?}",
        states.all()
    );
}

pub(super) async fn ended(running: Running) -> Trace {
    let ended = clock().timeout(TIMEOUT, crate::ended(running)).await;
    ended.expect("the process ends")
}

fn kill(pid: u32, signal: i32) {
    // SAFETY: `kill` takes two integers.
    let killed = unsafe { libc::kill(pid.cast_signed(), signal) };
    assert_eq!(killed, 0, "process {pid} does not exist");
}

#[tokio::test]
async fn child_is_ready_when_it_notifies_and_is_drained_by_sigterm() {
    let log = Log::default();
    let built = process()
        .member(child("healthy"))
        .member(logging("after", &log).after(["child"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "after", State::Ready).await;
    let group = {
        let pid = pid(&handle.states()).expect("it runs").cast_signed();
        // SAFETY: `getpgid` takes an integer.
        unsafe { (pid, libc::getpgid(pid)) }
    };
    assert_eq!(group.0, group.1, "it leads its process group");
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.to_string(), "after drained; then child drained");
    assert_eq!(pid(&handle.states()), None);
}

#[tokio::test]
async fn killed_child_is_restarted_and_other_members_keep_running() {
    let log = Log::default();
    let built = process()
        .member(child("healthy"))
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
    let child = handle.states().get("child").expect("a known member");
    assert_eq!(child.restarts, 1);
    assert!(child.pid.is_some_and(|pid| pid != first));
    assert!(log.take().is_empty());
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.ends()[0].ending, Ending::Killed(9));
    assert!(trace.is_clean(), "{trace}");
}

#[tokio::test]
async fn child_that_ignores_sigterm_is_killed_at_its_deadline() {
    let stubborn = child("stubborn").stop_deadline(Duration::from_millis(50));
    let (handle, stop, running) = spawn(process().member(stubborn));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(
        trace.to_string(),
        "child did not stop within 50 ms and was aborted"
    );
}

#[tokio::test]
async fn forced_stop_kills_a_child_immediately() {
    let stubborn = child("stubborn").stop_deadline(Duration::from_hours(1));
    let (handle, stop, running) = spawn(process().member(stubborn));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    until(&handle.states(), "child", State::Draining).await;
    stop.force();
    assert_eq!(ended(running).await.ends()[0].ending, Ending::Forced);
}

#[tokio::test]
async fn child_that_does_not_notify_is_not_ready() {
    let mute = child("mute").ready_deadline(Duration::from_millis(200));
    let (handle, stop, running) = spawn(process().member(mute));
    until(&handle.states(), "child", State::BackingOff).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(
        trace.ends()[0].to_string(),
        "child was not ready within 200 ms (restarted)"
    );
}

#[tokio::test]
async fn status_or_signal_of_a_child_is_reported() {
    let check = async |member: Member, expected: &str| {
        let (handle, stop, running) = spawn(process().member(member));
        until(&handle.states(), "child", State::BackingOff).await;
        let error = handle.states().get("child").and_then(|child| child.error);
        assert_eq!(error.as_deref(), Some(expected));
        stop.force();
        ended(running).await;
    };
    check(child("3"), "exited with status 3").await;
    check(child("0"), "exited with status 0").await;
    check(
        Member::child("child", || Command::new("/no/such/program")),
        "failed: cannot start /no/such/program: No such file or directory (os error 2)",
    )
    .await;
}

#[test]
fn child_is_killed_when_its_supervisor_is_killed() {
    let mut supervisor = role("supervisor").into_std();
    let mut supervisor = supervisor
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(supervisor.stdout.take().expect("it is piped"));
    let child: u32 = next_line(&mut output).parse().expect("a pid");
    kill(child, 0);
    supervisor.kill().expect("it is running");
    assert_eq!(
        supervisor.wait().expect("it ended").signal(),
        Some(libc::SIGKILL)
    );
    // The child holds the other end of the pipe until it is dead.
    output.read_to_end(&mut Vec::new()).expect("the pipe ends");
}

#[test]
fn first_signal_drains_and_second_forces_the_stop() {
    let mut slow = role("slow").into_std();
    let mut slow = slow.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(slow.stdout.take().expect("it is piped"));
    assert_eq!(next_line(&mut output), "ready");
    kill(slow.id(), libc::SIGTERM);
    assert_eq!(next_line(&mut output), "draining");
    kill(slow.id(), libc::SIGINT);
    assert_eq!(next_line(&mut output), "slow was aborted by a forced stop");
    assert!(slow.wait().expect("it ended").success());
}

#[tokio::test]
async fn process_group_of_a_child_is_killed_when_it_ends() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let orphaning = Member::child("child", move || {
        let mut command = role("orphaning");
        command.stdout(writer.try_clone().expect("a pipe"));
        command
    });
    let (handle, stop, running) = spawn(process().member(orphaning));
    until(&handle.states(), "child", State::Ready).await;
    stop.drain();
    assert!(ended(running).await.is_clean());
    // A surviving process would hold the other end of the pipe.
    let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
    let read = clock().timeout(TIMEOUT, read).await;
    read.expect("no process is left")
        .expect("no panic")
        .expect("the pipe ends");
}
