//! The engine `Pprof`, chosen on a system that has the native one. In a test binary of its own, because it
//! takes SIGPROF.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::{Builder, Engine, Error, Filter, Profiler};
use davy_tag::Tag;
use std::time::Duration;
use work::{burn, label, stack, sum, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

#[test]
fn pprof_samples_are_pushed_untagged_and_usage_is_still_exact() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("pprof")
        .engine(Engine::Pprof)
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    // A requested profile waits for the names of this program; windows do not.
    handle
        .cpu_profile(Duration::from_millis(1), &Filter::default())
        .expect("a profile");
    let tag = Tag::new("engine", "pprof");
    let used = {
        let _guard = tag.enter();
        let mut used = burn(Duration::from_secs(2));
        // On a busy machine pprof misses most samples.
        while handle.stats().samples < 50 && used < Duration::from_secs(30) {
            used += burn(Duration::from_millis(100));
        }
        used
    };
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all();
    let windows: Vec<_> = pushes
        .iter()
        .filter(|push| push.label("__name__") == "process_cpu")
        .collect();
    let total = |keep: &dyn Fn(&str) -> bool| -> i64 {
        let sums = windows
            .iter()
            .map(|push| sum(&push.profile, "cpu", |member, _| keep(member)));
        sums.sum()
    };
    assert_eq!(
        total(&|member| !member.is_empty()),
        0,
        "samples are untagged"
    );
    let sampled = total(&|_| true);
    let used = used.as_nanos() as i64;
    assert!(sampled < used * 5 / 4, "{sampled} of {used}");
    let mut in_burn = 0;
    for push in &windows {
        for sample in 0..push.profile.sample_count() {
            let stack = stack(&push.profile, sample);
            assert_eq!(label(&push.profile, sample, "member"), "");
            let handler = stack
                .iter()
                .any(|name| name.contains("perf_signal_handler"));
            assert!(!handler, "{stack:?}");
            // Functions inlined into the loop come before it.
            let leaf = stack.iter().take(3);
            if leaf.into_iter().any(|name| name.contains("burn"))
                && stack
                    .iter()
                    .any(|name| name.contains("pprof_samples_are_pushed"))
            {
                in_burn += push.profile.values(sample)[0];
            }
        }
    }
    assert!(in_burn > sampled / 5, "{in_burn} of {sampled}");
    let usages = davy_tag::usage();
    let usage = usages
        .iter()
        .find(|usage| usage.tag == tag)
        .expect("counted");
    assert!((usage.cpu_nanos as i64 - used).abs() < used / 10);
    assert!(handle.stats().samples >= 50);
}

#[test]
fn engines_can_be_started_one_after_the_other_and_each_collects_a_profile() {
    let _turn = turn();
    for engine in [Engine::Pprof, Engine::Native, Engine::Pprof] {
        let profiler = Builder::new("pprof")
            .engine(engine)
            .start()
            .expect("profiler started");
        let (nanos, used) = match engine {
            Engine::Native => profile_while_burning(&profiler),
            // On a busy machine pprof misses most samples, sometimes all of a profile.
            _ => (0..20)
                .map(|_| profile_while_burning(&profiler))
                .find(|(nanos, _)| *nanos > 0)
                .expect("one of 20 profiles has samples"),
        };
        let is_native = matches!(engine, Engine::Native);
        assert!(!is_native || nanos > used / 2, "{nanos} of {used}");
        profiler
            .shutdown(SHUTDOWN)
            .expect("there is nothing to deliver");
    }
}

/// CPU time of a profile of 3 seconds, and what this thread used meanwhile, in nanoseconds.
fn profile_while_burning(profiler: &Profiler) -> (i64, i64) {
    let handle = profiler.handle();
    let requested =
        std::thread::spawn(move || handle.cpu_profile(Duration::from_secs(3), &Filter::default()));
    let clock = davy_base::Clock::system();
    let (begun, mut used) = (clock.monotonic(), Duration::ZERO);
    // After that its names are resolved, which may take longer.
    while clock.monotonic().saturating_sub(begun) < Duration::from_secs(3) {
        used += burn(Duration::from_millis(20));
    }
    let profile = requested.join().expect("no panic").expect("a profile");
    (sum(&profile, "cpu", |_, _| true), used.as_nanos() as i64)
}

#[test]
fn pprof_engine_fails_if_the_application_handles_sigprof() {
    extern "C" fn application_handler(_signal: libc::c_int) {}
    let _turn = turn();
    // SAFETY: installs a handler that does nothing; it is removed below.
    let before = unsafe { libc::signal(libc::SIGPROF, application_handler as *const () as usize) };
    let error = Builder::new("taken")
        .engine(Engine::Pprof)
        .start()
        .expect_err("SIGPROF is taken");
    assert!(matches!(error, Error::SignalTaken), "{error}");
    // SAFETY: restores the previous handler.
    unsafe { libc::signal(libc::SIGPROF, before) };
}
