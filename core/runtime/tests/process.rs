//! What a process promises of its members.

use davy_base::Clock;
use davy_runtime::{Context, Ending, Error, Member, Process, State};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, text: String) {
    log.lock()
        .expect("no test panics while it holds the log")
        .push(text);
}

fn logging(name: &'static str, log: &Log) -> Member {
    let log = log.clone();
    Member::new(name, move |context: Context| async move {
        note(&log, format!("{name} starts"));
        context.ready();
        context.draining().await;
        note(&log, format!("{name} stops"));
        Ok(())
    })
}

/// Asks for a stop as soon as everything before it is ready.
fn stopper(drain: &CancellationToken) -> Member {
    let drain = drain.clone();
    Member::new("stopper", move |context: Context| async move {
        context.ready();
        drain.cancel();
        context.draining().await;
        Ok(())
    })
}

fn process() -> Process {
    Process::new(Clock::system())
}

#[tokio::test]
async fn members_start_in_order_and_stop_in_reverse() {
    let (log, drain) = (Log::default(), CancellationToken::new());
    let process = process()
        .member(logging("a", &log))
        .member(logging("b", &log))
        .member(stopper(&drain));
    let states = process.states();
    let trace = process.run(drain).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(
        *log.lock().expect("log"),
        ["a starts", "b starts", "b stops", "a stops"]
    );
    assert!(
        states
            .all()
            .iter()
            .all(|member| member.state == State::Stopped)
    );
}

#[tokio::test]
async fn a_member_waits_until_the_one_before_is_ready() {
    let (log, drain) = (Log::default(), CancellationToken::new());
    let never = Member::new("never", |context: Context| async move {
        context.draining().await;
        Ok(())
    });
    let process = process().member(never).member(logging("after", &log));
    let states = process.states();
    let run = tokio::spawn(process.run(drain.clone()));
    while states
        .all()
        .iter()
        .all(|member| member.state != State::Starting)
    {
        tokio::task::yield_now().await;
    }
    drain.cancel();
    let trace = run.await.expect("the process does not panic");
    assert!(trace.is_clean(), "{trace}");
    assert!(log.lock().expect("log").is_empty(), "it was never started");
}

async fn ending_of(broken: Member) -> (String, Vec<String>) {
    let log = Log::default();
    let trace = process()
        .member(logging("other", &log))
        .member(broken)
        .run(CancellationToken::new())
        .await;
    let log = log.lock().expect("log").clone();
    (trace.to_string(), log)
}

#[tokio::test]
async fn whatever_way_a_member_falls_it_is_named_and_the_others_drain() {
    let check = async |broken: Member, expected: &str| {
        let (trace, log) = ending_of(broken).await;
        assert_eq!(trace, expected);
        assert_eq!(log, ["other starts", "other stops"]);
    };
    let failing = Member::new("m", |_| async { Err(Error::from("the disk is gone")) });
    check(failing, "m failed: the disk is gone; then other drained").await;
    let panicking = Member::new("m", |_| async { panic!("index {} out of range", 7) });
    check(
        panicking,
        "m panicked: index 7 out of range; then other drained",
    )
    .await;
    let early = Member::new("m", |context: Context| async move {
        context.ready();
        Ok(())
    });
    check(
        early,
        "m ended though nobody had told it to; then other drained",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_on_stop_is_aborted_at_its_deadline() {
    let drain = CancellationToken::new();
    let hanging = Member::new("hanging", |context: Context| async move {
        context.ready();
        std::future::pending::<()>().await;
        Ok(())
    })
    .stop_deadline(Duration::from_secs(3));
    let trace = process()
        .member(hanging)
        .member(stopper(&drain))
        .run(drain)
        .await;
    let culprit = trace.culprit().expect("one did not drain");
    assert_eq!(
        (culprit.member.as_str(), &culprit.ending),
        ("hanging", &Ending::Overran)
    );
}

#[tokio::test]
async fn every_poll_of_a_member_and_of_its_tasks_is_tagged() {
    let drain = CancellationToken::new();
    let stop = drain.clone();
    let member = Member::new("tagged", |context: Context| async move {
        assert_eq!(
            (davy_tag::current().member(), davy_tag::current().op()),
            ("tagged", "run")
        );
        let task = context.spawn("tick", async {
            (davy_tag::current().member(), davy_tag::current().op())
        });
        assert_eq!(task.await?, ("tagged", "tick"));
        context.ready();
        stop.cancel();
        context.draining().await;
        Ok(())
    });
    let trace = process().member(member).run(drain).await;
    assert!(trace.is_clean(), "{trace}");
}
