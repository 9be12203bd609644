//! The engine of the crate pprof, by choice. Alone in its process: it takes SIGPROF from the other.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::{Builder, Engine, Error, Filter};
use davy_tag::Tag;
use std::time::Duration;
use work::{burn, label, stack, sum, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

#[test]
fn pprofs_samples_are_pushed_untagged_with_their_stacks_while_usage_stay_exact() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("pprof")
        .engine(Engine::Pprof)
        .archiver(archiver.url())
        .start()
        .expect("started");
    let tag = Tag::new("engine", "pprof");
    let used = {
        let _guard = tag.enter();
        burn(Duration::from_secs(2))
    };
    let stats = profiler.handle();
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
    assert_eq!(total(&|member| !member.is_empty()), 0, "nothing is guessed");
    let sampled = total(&|_| true);
    // Samples in libc are dropped by design, and some while a report is made.
    let used = used.as_nanos() as i64;
    assert!(
        (used / 5..used * 5 / 4).contains(&sampled),
        "{sampled} of {used}"
    );
    let mut in_burn = 0;
    for push in &windows {
        for sample in 0..push.profile.sample_count() {
            let stack = stack(&push.profile, sample);
            assert_eq!(label(&push.profile, sample, "member"), "");
            let handler = stack
                .iter()
                .any(|name| name.contains("perf_signal_handler"));
            assert!(!handler, "{stack:?}");
            // What is inlined into the loop stands before it.
            let leaf = stack.iter().take(3);
            if leaf.into_iter().any(|name| name.contains("burn"))
                && stack.iter().any(|name| name.contains("pprofs_samples"))
            {
                in_burn += push.profile.values(sample)[0];
            }
        }
    }
    assert!(in_burn > sampled / 5, "{in_burn} of {sampled}");
    let usages = davy_tag::usages();
    let usage = usages
        .iter()
        .find(|usage| usage.tag == tag)
        .expect("counted");
    assert!((usage.cpu_nanos as i64 - used).abs() < used / 10);
    assert!(stats.stats().samples > 50);
}

#[test]
fn a_profile_of_pprofs_samples_can_be_asked_for_and_the_other_engine_started_after_it() {
    let _turn = turn();
    for engine in [Engine::Pprof, Engine::Native, Engine::Pprof] {
        let profiler = Builder::new("pprof")
            .engine(engine)
            .start()
            .expect("started");
        let handle = profiler.handle();
        let asked = std::thread::spawn(move || {
            handle.cpu_profile(Duration::from_secs(3), &Filter::default())
        });
        let clock = davy_base::Clock::system();
        let (begun, mut used) = (clock.monotonic(), Duration::ZERO);
        // After that it is being named, which takes what it takes.
        while clock.monotonic().saturating_sub(begun) < Duration::from_secs(3) {
            used += burn(Duration::from_millis(20));
        }
        let profile = asked.join().expect("no panic").expect("an answer");
        let nanos = sum(&profile, "cpu", |_, _| true);
        let used = used.as_nanos() as i64;
        // How much of it pprof sees on a busy machine is its own affair.
        let least = match engine {
            Engine::Native => used / 2,
            _ => used / 20,
        };
        assert!(nanos > least, "{engine:?}: {nanos} of {used}");
        profiler.shutdown(SHUTDOWN).expect("nobody to deliver to");
    }
}

#[test]
fn pprof_leaves_an_application_alone_that_owns_sigprof() {
    extern "C" fn of_the_application(_signal: libc::c_int) {}
    let _turn = turn();
    // SAFETY: installs a handler that does nothing, and takes it away again.
    let before = unsafe { libc::signal(libc::SIGPROF, of_the_application as *const () as usize) };
    let error = Builder::new("taken")
        .engine(Engine::Pprof)
        .start()
        .expect_err("two owners can't share a signal");
    assert!(matches!(error, Error::SignalTaken), "{error}");
    // SAFETY: puts back what was there.
    unsafe { libc::signal(libc::SIGPROF, before) };
}
