//! Recordings of real programs by the real kernel.

use davy_profile::{FlameTree, flame::Grain};
use davy_record::{Error, Names, RecordOptions, Recorder, Target};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Uses CPU time.
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

/// Starts a recording. Where the kernel forbids it, reports the test as skipped and returns `None`.
fn start(target: Target) -> Option<Recorder> {
    match Recorder::start(target, options(997)) {
        Err(error @ Error::Forbidden { .. }) => {
            let text = error.to_string();
            let has_reason = ["perf_event_paranoid", "seccomp", "does not support"];
            assert!(has_reason.iter().any(|part| text.contains(part)), "{text}");
            davy_test_support::skip(&text);
            None
        }
        recorder => Some(recorder.expect("start a recording")),
    }
}

#[test]
fn running_process_is_recorded_by_pid() {
    let Some(mut recorder) = start(Target::Pid(std::process::id())) else {
        return;
    };
    // Threads that start later are sampled as well.
    let burner = std::thread::spawn(|| {
        let mut sum = 0;
        for _ in 0..200 {
            sum ^= burn_for_the_recorder(2_000_000);
        }
        sum
    });
    recorder.record_while(|_| !burner.is_finished());
    burner.join().expect("the thread panicked");
    let samples = recorder.samples();
    let profile = recorder.finish().profile;
    let (burnt, all) = total_of(&profile, "burn_for_the_recorder");
    assert!(samples > 50, "{samples} samples");
    assert!(burnt * 2 > all, "{burnt} of {all} ns");
}

/// Uses CPU time.
#[test]
#[ignore = "a child process of the other tests"]
fn burning_child() {
    if std::env::var_os("BURN").is_none() {
        return davy_test_support::skip("runs only as a child process of other tests");
    }
    for _ in 0..200 {
        std::hint::black_box(burn_for_the_recorder(2_000_000));
    }
}

#[test]
fn command_is_recorded_with_its_child_processes() {
    let Some(mut recorder) = start(Target::NextChild) else {
        return;
    };
    let program = std::env::current_exe().expect("path of this test");
    // A grandchild, through a shell.
    let mut child = Command::new("sh")
        .args(["-c", "\"$0\" --exact burning_child --ignored; true"])
        .arg(program)
        .env("BURN", "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("run sh");
    recorder.record_while(|_| child.try_wait().expect("wait for the child").is_none());
    let profile = recorder.finish().profile;
    let (burnt, all) = total_of(&profile, "burn_for_the_recorder");
    assert!(burnt * 2 > all && all > 0, "{burnt} of {all} ns");
}

#[test]
fn unknown_process_and_invalid_rate_are_errors() {
    let error = Recorder::start(Target::Pid(u32::MAX - 1), options(99))
        .err()
        .expect("unknown pid");
    assert_eq!(
        error.to_string(),
        format!("process {} not found", u32::MAX - 1)
    );
    let error = Recorder::start(Target::NextChild, options(0))
        .err()
        .expect("invalid rate");
    assert!(error.to_string().contains("expected 1 to"), "{error}");
}

#[test]
fn calling_process_is_not_recorded_with_a_command() {
    let Some(mut recorder) = start(Target::NextChild) else {
        return;
    };
    burn_for_the_recorder(20_000_000);
    recorder.record_for(Duration::from_millis(60));
    assert_eq!(recorder.samples(), 0);
}

#[test]
fn time_in_the_kernel_is_recorded_where_permitted() {
    let Some(mut recorder) = start(Target::NextChild) else {
        return;
    };
    // Large reads, so that nearly all of the time is spent in the kernel.
    let mut child = Command::new("dd")
        .args(["if=/dev/zero", "of=/dev/null", "bs=1M", "count=12000"])
        .stderr(Stdio::null())
        .spawn()
        .expect("run dd");
    recorder.record_while(|_| child.try_wait().expect("wait for the child").is_none());
    let recording = recorder.finish();
    if !recording.has_kernel {
        davy_test_support::skip("sampling the kernel is not permitted");
        return;
    }
    let (in_kernel, all) = total_of(&recording.profile, "[kernel]");
    assert!(in_kernel * 2 > all && all > 0, "{in_kernel} of {all} ns");
}

#[test]
fn intermediate_profiles_contain_each_sample_once() {
    let Some(mut recorder) = start(Target::NextChild) else {
        return;
    };
    let mut child = Command::new(std::env::current_exe().expect("path of this test"))
        .args(["--exact", "burning_child", "--ignored"])
        .env("BURN", "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("start the child");
    let names = Names::new();
    let (mut samples, mut nanos, mut profiles_with_samples) = (0, 0, 0);
    let mut add = |profile: &davy_profile::Profile| {
        for sample in 0..profile.sample_count() {
            samples += profile.values(sample)[0];
            nanos += profile.values(sample)[1];
        }
        profiles_with_samples += u32::from(profile.sample_count() > 0);
    };
    while child.try_wait().expect("wait for the child").is_none() {
        recorder.record_for(Duration::from_millis(50));
        add(&recorder.take_profile(&names));
    }
    let recording = recorder.finish();
    add(&recording.profile);
    assert!(samples > 20 && profiles_with_samples > 1, "{samples}");
    assert_eq!(recording.samples as i64, samples);
    // Every sample stands for the time between two samples; none is counted twice in either value.
    let period = 1_000_000_000 / 997;
    let mean = nanos / samples;
    assert!(
        (period / 2..period * 2).contains(&mean),
        "{mean} ns per sample"
    );
}
