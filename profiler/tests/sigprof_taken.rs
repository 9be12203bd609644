//! A program that installs its own SIGPROF handler while the profiler is running. In a test binary of its own,
//! because it takes SIGPROF.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::{Builder, Error, Filter, Stats};
use davy_tag::Tag;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use work::{burn, sum};

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn program_handler(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Installs a handler of SIGPROF, and returns the one before.
fn install(action: &libc::sigaction) -> libc::sigaction {
    // SAFETY: both are plain data that outlive the call, and the handler only counts.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        let done = libc::sigaction(libc::SIGPROF, action, &raw mut before);
        assert_eq!(done, 0);
        before
    }
}

fn action(handler: usize) -> libc::sigaction {
    // SAFETY: plain data.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    action
}

/// Uses CPU time until the statistics are as expected.
fn burn_until(what: &str, stats: impl Fn() -> Stats, is_expected: impl Fn(&Stats) -> bool) {
    for _ in 0..1_000 {
        if is_expected(&stats()) {
            return;
        }
        burn(Duration::from_millis(10));
    }
    panic!("not {what}: {:?}", stats());
}

#[test]
fn handler_installed_after_the_start_gets_no_signals_and_sampling_resumes_without_it() {
    let archiver = Archiver::start();
    let builder = Builder::new("taken").hz(1_000).archiver(archiver.url());
    let profiler = builder.start().expect("SIGPROF is free");
    let handle = profiler.handle();
    let stats = || handle.stats();
    burn_until("sampled", stats, |stats| stats.samples > 50);

    let ours = install(&action(program_handler as *const () as usize));
    burn_until("noticed", stats, |stats| !stats.unsampled_reason.is_empty());
    let noticed = stats();
    assert!(noticed.unsampled_reason.contains("SIGPROF"), "{noticed:?}");
    assert_eq!(noticed.threads, 0, "{noticed:?}");
    assert!(noticed.threads_unsampled > 0, "{noticed:?}");
    let (signals, samples) = (SIGNALS.load(Ordering::Relaxed), noticed.samples);
    {
        let _guard = Tag::new("displaced", "burn").enter();
        burn(Duration::from_millis(300));
    }
    assert_eq!(
        SIGNALS.load(Ordering::Relaxed),
        signals,
        "the timers are gone"
    );
    let requested = handle.cpu_profile(Duration::from_secs(1), &Filter::default());
    assert!(
        matches!(requested, Err(Error::SignalTaken)),
        "{requested:?}"
    );

    // The program restores what it has found.
    install(&ours);
    burn_until("resumed", stats, |stats| {
        stats.unsampled_reason.is_empty() && stats.samples > samples + 50
    });
    assert_eq!(stats().threads_unsampled, 0, "{:?}", stats());

    // The program removes its handler without restoring ours, as the crate pprof does.
    install(&action(program_handler as *const () as usize));
    burn_until("noticed", stats, |stats| !stats.unsampled_reason.is_empty());
    let samples = stats().samples;
    install(&action(libc::SIG_IGN));
    burn_until("resumed", stats, |stats| {
        stats.unsampled_reason.is_empty() && stats.samples > samples + 50
    });

    let delivered = profiler.shutdown(Duration::from_secs(20));
    delivered.expect("everything is delivered");
    let of = |push: &Push| sum(&push.profile, "cpu", |member, _| member == "displaced");
    let cpu: i64 = archiver.all().iter().map(of).sum();
    assert_eq!(cpu, 0, "CPU time without samples is not shown as stacks");
    assert_eq!(stats().dropped.foreign_signals, 0, "{:?}", stats());
}
