//! Real programs, recorded by the real kernel. Where it forbids that, the error must say so.

use davy_profile::{FlameTree, flame::Grain};
use davy_record::{Error, Names, RecordOptions, Recorder, Target};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Spends CPU time in a function of a known name, in this test's own binary.
#[inline(never)]
fn burn_for_the_recorder(rounds: u64) -> u64 {
    (0..rounds).fold(0, |sum, round| {
        std::hint::black_box(sum ^ round.wrapping_mul(31))
    })
}

fn options(hz: u32) -> RecordOptions {
    RecordOptions {
        hz,
        ..RecordOptions::default()
    }
}

fn total_of(profile: &davy_profile::Profile, name: &str) -> (i64, i64) {
    let mut tree = FlameTree::new();
    tree.add_profile(profile, 1, Grain::Function);
    let top = tree.top(usize::MAX);
    let of_name = top
        .iter()
        .filter(|function| function.name.contains(name))
        .map(|function| function.total);
    (of_name.max().unwrap_or(0), tree.totals()[0])
}

fn is_forbidden(result: &Result<Recorder, Error>) -> bool {
    match result {
        Err(Error::Forbidden { .. }) => {
            let text = result
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(text.contains("perf_event_paranoid"), "{text}");
            true
        }
        _ => false,
    }
}

#[test]
fn a_running_process_is_recorded_by_its_pid() {
    let started = Recorder::start(Target::Pid(std::process::id()), options(997));
    if is_forbidden(&started) {
        return;
    }
    let mut recorder = started.expect("the kernel allows it");
    // Threads that begin later are followed, too.
    let burner = std::thread::spawn(|| {
        let mut sum = 0;
        for _ in 0..200 {
            sum ^= burn_for_the_recorder(2_000_000);
        }
        sum
    });
    recorder.record_while(|_| !burner.is_finished());
    burner.join().expect("it burnt");
    let samples = recorder.samples();
    let profile = recorder.finish().profile;
    let (burnt, all) = total_of(&profile, "burn_for_the_recorder");
    assert!(samples > 50, "{samples} samples");
    assert!(burnt * 2 > all, "{burnt} of {all} ns");
}

/// The other half of the next test: runs only when it is asked to.
#[test]
fn a_child_that_burns() {
    if std::env::var_os("BURN").is_some() {
        for _ in 0..200 {
            std::hint::black_box(burn_for_the_recorder(2_000_000));
        }
    }
}

#[test]
fn a_command_is_recorded_with_what_it_starts() {
    let started = Recorder::start(Target::NextChild, options(997));
    if is_forbidden(&started) {
        return;
    }
    let mut recorder = started.expect("the kernel allows it");
    let program = std::env::current_exe().expect("this test's file");
    // Through a shell: the child of a child.
    let mut child = Command::new("sh")
        .args(["-c", "\"$0\" --exact a_child_that_burns; true"])
        .arg(program)
        .env("BURN", "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("sh can be run");
    recorder.record_while(|_| child.try_wait().expect("it can be waited for").is_none());
    let profile = recorder.finish().profile;
    let (burnt, all) = total_of(&profile, "burn_for_the_recorder");
    assert!(burnt * 2 > all && all > 0, "{burnt} of {all} ns");
}

#[test]
fn what_cannot_be_recorded_is_said_in_a_sentence() {
    let error = Recorder::start(Target::Pid(u32::MAX - 1), options(99))
        .err()
        .expect("no such process");
    assert_eq!(
        error.to_string(),
        format!("there is no process {}", u32::MAX - 1)
    );
    let error = Recorder::start(Target::NextChild, options(0))
        .err()
        .expect("no rate");
    assert!(error.to_string().contains("at least 1"), "{error}");
}

#[test]
fn nothing_but_the_command_is_recorded() {
    let started = Recorder::start(Target::NextChild, options(997));
    if is_forbidden(&started) {
        return;
    }
    let mut recorder = started.expect("the kernel allows it");
    burn_for_the_recorder(20_000_000);
    recorder.record_for(Duration::from_millis(60));
    assert_eq!(recorder.samples(), 0);
}

#[test]
fn time_that_the_kernel_spends_for_a_program_is_shown_where_it_allows_that() {
    let started = Recorder::start(Target::NextChild, options(997));
    if is_forbidden(&started) {
        return;
    }
    let mut recorder = started.expect("the kernel allows it");
    let mut child = Command::new("head")
        .args(["-c", "2000000000", "/dev/zero"])
        .stdout(Stdio::null())
        .spawn()
        .expect("head can be run");
    recorder.record_while(|_| child.try_wait().expect("it can be waited for").is_none());
    let recording = recorder.finish();
    if recording.has_kernel {
        let (in_kernel, all) = total_of(&recording.profile, "[kernel]");
        assert!(in_kernel * 2 > all && all > 0, "{in_kernel} of {all} ns");
    }
}

#[test]
fn profiles_that_are_taken_on_the_way_have_each_sample_once() {
    let started = Recorder::start(Target::NextChild, options(997));
    if is_forbidden(&started) {
        return;
    }
    let mut recorder = started.expect("the kernel allows it");
    let mut child = Command::new(std::env::current_exe().expect("this test's file"))
        .args(["--exact", "a_child_that_burns"])
        .env("BURN", "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let names = Names::new();
    let clock = davy_base::Clock::system();
    let began = clock.monotonic();
    let (mut samples, mut nanos, mut profiles_with_samples) = (0, 0, 0);
    let mut add = |profile: &davy_profile::Profile| {
        for sample in 0..profile.sample_count() {
            samples += profile.values(sample)[0];
            nanos += profile.values(sample)[1];
        }
        profiles_with_samples += u32::from(profile.sample_count() > 0);
    };
    while child.try_wait().expect("it can be waited for").is_none() {
        recorder.record_for(Duration::from_millis(50));
        add(&recorder.take_profile(&names));
    }
    let recording = recorder.finish();
    add(&recording.profile);
    assert!(samples > 20 && profiles_with_samples > 1, "{samples}");
    assert_eq!(recording.samples as i64, samples);
    // It has one thread that works: its CPU time can't be longer than it took.
    let elapsed = clock.monotonic().saturating_sub(began).as_nanos() as i64;
    assert!(nanos < elapsed + elapsed / 4, "{nanos} of {elapsed} ns");
}
