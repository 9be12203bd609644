//! Programs whose seccomp filter forbids system calls of the profiler, in child processes, because a filter cannot be
//! removed.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::{Builder, Error, Stats};
use std::process::Command;
use std::time::Duration;
use work::burn;

/// The environment variable that selects what a child does.
const MODE: &str = "TEST_SECCOMP";
/// The exit code of a child whose filter was refused.
const IS_SKIPPED: i32 = 77;

/// Makes these system calls of this thread, and of threads that it starts, fail with EPERM.
fn forbid(system_calls: &[libc::c_long]) -> std::io::Result<()> {
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    // The number is the first word of `seccomp_data`.
    let mut program = vec![instruction(LOAD_WORD, 0, 0)];
    for (index, number) in (0..).zip(system_calls) {
        // To the last instruction.
        let jump = (system_calls.len() - index) as u8;
        program.push(instruction(IF_EQUAL, jump, *number as u32));
    }
    program.push(instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    program.push(instruction(RETURN, 0, refuse));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program outlives the calls, which only read it.
    let is_done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    if is_done {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// The system calls that a mode forbids.
fn forbidden(mode: &str) -> Vec<libc::c_long> {
    match mode {
        "timers" => vec![libc::SYS_timer_create],
        "files" => {
            let mut files = vec![libc::SYS_openat, libc::SYS_openat2];
            #[cfg(target_arch = "x86_64")]
            files.push(libc::SYS_open);
            files
        }
        "handlers" => vec![libc::SYS_rt_sigaction],
        "threads" => {
            let mut threads = vec![libc::SYS_clone, libc::SYS_clone3];
            #[cfg(target_arch = "x86_64")]
            threads.push(libc::SYS_fork);
            threads
        }
        "unused" => vec![
            libc::SYS_tgkill,
            libc::SYS_perf_event_open,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_rt_tgsigqueueinfo,
        ],
        mode => panic!("unknown mode {mode}"),
    }
}

/// Burns until the statistics are as expected, and returns them.
fn burn_until(stats: impl Fn() -> Stats, is_expected: impl Fn(&Stats) -> bool) -> Stats {
    for _ in 0..500 {
        burn(Duration::from_millis(10));
        let stats = stats();
        if is_expected(&stats) {
            return stats;
        }
    }
    panic!("unexpected: {:?}", stats());
}

#[test]
fn seccomp_child() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    // Its threads have no filter.
    let archiver = Archiver::start();
    if let Err(error) = forbid(&forbidden(&mode)) {
        println!("message {error}");
        std::process::exit(IS_SKIPPED);
    }
    let started = Builder::new("seccomp")
        .hz(1_000)
        .archiver(archiver.url())
        .start();
    let message = match (mode.as_str(), started) {
        ("handlers" | "threads", Err(error)) => {
            let is_expected = matches!(error, Error::Signal(_) | Error::Thread { .. });
            assert!(is_expected, "{error:?}");
            // The program goes on, and may try again.
            burn(Duration::from_millis(10));
            let again = Builder::new("seccomp").start();
            assert!(
                matches!(again, Err(Error::Signal(_) | Error::Thread { .. })),
                "{again:?}"
            );
            error.to_string()
        }
        ("unused", Ok(profiler)) => {
            let handle = profiler.handle();
            let stats = burn_until(|| handle.stats(), |stats| stats.samples > 50);
            profiler
                .shutdown(Duration::from_secs(20))
                .expect("delivered");
            stats.unsampled_reason
        }
        ("timers" | "files", Ok(profiler)) => {
            let handle = profiler.handle();
            let is_refused = |stats: &Stats| !stats.unsampled_reason.is_empty();
            let stats = burn_until(|| handle.stats(), is_refused);
            profiler
                .shutdown(Duration::from_secs(20))
                .expect("delivered");
            stats.unsampled_reason
        }
        (mode, started) => panic!("{mode}: {started:?}"),
    };
    println!("message {message}");
}

/// Runs the child in a mode, and returns its message. None if the test was skipped.
fn message_of(mode: &str) -> Option<String> {
    let own = std::env::current_exe().expect("this test");
    let mut command = Command::new(own);
    command.args(["--exact", "seccomp_child", "--nocapture"]);
    let output = command.env(MODE, mode).output().expect("the child ran");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let message = text
        .split("message ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    if output.status.code() == Some(IS_SKIPPED) {
        davy_test_support::skip(&format!("a seccomp filter is not permitted: {message}"));
        return None;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    println!("{mode}: {message}");
    Some(message.to_owned())
}

/// Checks that the message of a mode contains each part.
#[track_caller]
fn check(mode: &str, parts: &[&str]) {
    if let Some(message) = message_of(mode) {
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    }
}

const ADVICE: &str = "seccomp profile";

#[test]
fn program_whose_filter_forbids_timers_runs_on_and_is_told_to_allow_them() {
    check("timers", &["timer_create", "not permitted", ADVICE]);
}

#[test]
fn program_whose_filter_forbids_files_runs_on_and_is_told_to_allow_proc() {
    check("files", &["/proc/self/task", "not permitted", ADVICE]);
}

#[test]
fn start_fails_without_signal_handlers_and_the_program_runs_on() {
    check(
        "handlers",
        &["SIGPROF", "not permitted", "`rt_sigaction`", ADVICE],
    );
}

#[test]
fn start_fails_without_threads_and_the_program_runs_on() {
    check(
        "threads",
        &["davy-profiler", "not permitted", "`clone3`", ADVICE],
    );
}

#[test]
fn profiler_needs_no_right_to_signal_trace_or_count_events() {
    if let Some(message) = message_of("unused") {
        assert_eq!(message, "", "every thread is sampled");
    }
}
