//! Time to start and stop a thousand members, as a chain and in parallel, and the cost of reading a
//! toggle and of taking a slot. Run `cargo bench -p davy-runtime`.

use davy_base::{Clock, Timestamp};
use davy_runtime::{
    Context, Gate, Group, Member, MemberKind, Process, Setting, Stop, Target, Toggles,
};
use std::hint::black_box;
use std::time::Duration;

const MEMBERS: usize = 1_000;
const READS: u32 = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (name, group) in [
        ("chain", Group::ordered(members())),
        ("parallel", Group::parallel(members())),
    ] {
        let (start, stop) = runtime.block_on(start_and_stop(group));
        println!("{MEMBERS} members, {name}: started in {start:.1?}, stopped in {stop:.1?}");
    }
    read_toggles();
}

fn members() -> impl Iterator<Item = Member> {
    (0..MEMBERS).map(|i| {
        Member::new(
            &format!("m{i}"),
            MemberKind::Loop,
            |context: Context| async move {
                context.ready();
                context.draining().await;
                Ok(())
            },
        )
    })
}

async fn start_and_stop(group: Group) -> (Duration, Duration) {
    let clock = Clock::system();
    let process = Process::new(clock.clone())
        .group(group)
        .build()
        .expect("valid members");
    let (states, stop) = (process.states(), Stop::new());
    let stopper = stop.clone();
    let watch = clock.clone();
    let before = clock.monotonic();
    let started = tokio::spawn(async move {
        // Wakes at every change and collects the members that are not ready yet.
        let mut changed = states.changed();
        while !states.unready().is_empty() {
            changed.changed().await.expect("the sender exists");
        }
        let at = watch.monotonic();
        stopper.drain();
        at
    });
    let trace = process.run(stop).await;
    let after = clock.monotonic();
    let started = started.await.expect("no panic");
    assert!(trace.is_clean(), "{trace}");
    (
        started.saturating_sub(before),
        after.saturating_sub(started),
    )
}

fn read_toggles() {
    let (clock, toggles, gate) = (Clock::system(), Toggles::new(), Gate::new());
    let target = |i: usize| Target::Endpoint(format!("Operation{i}"));
    let setting = |i: u32| Setting {
        enabled: Some(!i.is_multiple_of(2)),
        limit: Some(i),
        slot: None,
        operator: "bench".to_owned(),
        why: String::new(),
        at: Timestamp::EPOCH,
        source: "davy.toml".to_owned(),
    };
    let settings = (0..100).map(|i| (target(i as usize), setting(i)));
    toggles.set_configured(settings.collect());
    for (name, target) in [("set", target(50)), ("unset", target(500))] {
        let before = clock.monotonic();
        for _ in 0..READS {
            black_box(toggles.effective(black_box(&target)));
        }
        let each = clock.monotonic().saturating_sub(before) / READS;
        println!("toggles, {name} target: {each:.0?} per read");
    }
    let before = clock.monotonic();
    for _ in 0..READS {
        black_box(gate.enter(black_box(Some(5))));
    }
    let each = clock.monotonic().saturating_sub(before) / READS;
    println!("gate: {each:.0?} per slot taken and released");
}
