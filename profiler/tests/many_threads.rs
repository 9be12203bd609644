//! The memory that the profiler needs for each thread, measured in child processes.

mod work;

use davy_profiler::{Builder, Stats};
use std::process::Command;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;
use work::burn;

davy_profiler::use_jemalloc!();

/// The environment variable that selects what the child does.
const MODE: &str = "TEST_MANY_THREADS";
const THREADS: usize = 2_000;
const SHORT_LIVED: usize = 20_000;
/// More than the distance between two ticks of the kernel, so that most threads are sampled.
const BURN: Duration = Duration::from_millis(5);

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = statm.split(' ').nth(1).expect("the second field");
    pages.parse::<usize>().expect("a number") * 4_096
}

/// Starts threads that use a little CPU time once `are_known` returns and then wait, and returns how many bytes
/// each has added. Every thread receives a signal, because the kernel writes its frame to the thread's stack.
fn bytes_per_idle_thread(threads: usize, are_known: impl Fn()) -> usize {
    let before = resident();
    let barriers: [_; 3] = std::array::from_fn(|_| Arc::new(Barrier::new(threads + 1)));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let [started, idle, end] = barriers.clone();
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            let thread = thread.spawn(move || {
                // SAFETY: sends a signal with a handler to this thread.
                unsafe { libc::raise(libc::SIGUSR1) };
                started.wait();
                started.wait();
                burn(BURN);
                idle.wait();
                end.wait();
            });
            thread.expect("thread started")
        })
        .collect();
    let [started, idle, end] = barriers;
    started.wait();
    are_known();
    started.wait();
    idle.wait();
    let grown = resident().saturating_sub(before);
    end.wait();
    let count = threads.len();
    for thread in threads {
        thread.join().expect("no panic");
    }
    grown / count
}

extern "C" fn ignore(_signal: libc::c_int) {}

#[test]
#[ignore = "a child process of the other tests"]
fn many_threads_child() {
    let Ok(mode) = std::env::var(MODE) else {
        return davy_test_support::skip("runs only as a child process of other tests");
    };
    // SAFETY: installs a handler that does nothing.
    unsafe { libc::signal(libc::SIGUSR1, ignore as *const () as usize) };
    if mode == "plain" {
        bytes_per_idle_thread(100, || ());
        println!("result {}", bytes_per_idle_thread(THREADS, || ()));
        return;
    }
    let profiler = Builder::new("threads").hz(1_000).start();
    let profiler = profiler.expect("profiler started");
    let handle = profiler.handle();
    let until = |is_reached: &dyn Fn(&Stats) -> bool| {
        while !is_reached(&handle.stats()) {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    bytes_per_idle_thread(100, || until(&|stats| stats.threads >= 100));
    if mode == "profiled" {
        let before = handle.stats().samples;
        let bytes = bytes_per_idle_thread(THREADS, || until(&|stats| stats.threads >= THREADS));
        let stats = handle.stats();
        let sampled = stats.samples - before;
        assert!(sampled as usize >= THREADS / 4, "{stats:?}");
        assert_eq!(stats.dropped.ring_full, 0, "{stats:?}");
        println!("result {bytes}");
        return;
    }
    let short_lived = |count: usize| {
        let (sender, receiver) = mpsc::channel::<std::thread::JoinHandle<()>>();
        let joiner = std::thread::spawn(move || {
            for thread in receiver {
                thread.join().expect("no panic");
            }
        });
        for at in 0..count {
            let thread = std::thread::spawn(move || {
                if at % 4 == 0 {
                    davy_profiler::register_thread();
                }
                burn(Duration::from_micros(50));
            });
            sender.send(thread).expect("the joiner is running");
        }
        drop(sender);
        joiner.join().expect("no panic");
    };
    short_lived(SHORT_LIVED / 10);
    let before = resident();
    short_lived(SHORT_LIVED);
    println!("result {}", resident().saturating_sub(before));
}

/// Runs the child in a mode, and returns its result.
fn child(mode: &str) -> usize {
    let own = std::env::current_exe().expect("this test");
    let mut command = Command::new(own);
    command.args(["--exact", "many_threads_child", "--ignored", "--nocapture"]);
    let output = command.env(MODE, mode).output().expect("the child ran");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The harness does not end its line before the test's output.
    let result = text
        .split("result ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    result
        .and_then(|bytes| bytes.parse().ok())
        .expect("a number")
}

#[test]
fn idle_thread_costs_at_most_8_kib_and_threads_that_ended_nothing() {
    let (plain, profiled) = (child("plain"), child("profiled"));
    println!("{plain} B per thread without the profiler, {profiled} B with it");
    assert!(
        profiled.saturating_sub(plain) <= 8 << 10,
        "{plain} B, {profiled} B"
    );
    let grown = child("short-lived");
    println!("{grown} B more after {SHORT_LIVED} threads have ended");
    assert!(grown < 4 << 20, "{grown} B");
}
