//! The figures that the profiler promises, measured in one run.
//!
//! `cargo bench -p davy-profiler --bench figures`

use davy_profile::{LabelValue, Profile};
use davy_profiler::{Builder, Filter, Profiler};
use davy_tag::Tag;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

davy_profiler::use_jemalloc!();

const SPAN: Duration = Duration::from_secs(3);

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time lives through the call.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn monotonic() -> Duration {
    clock(libc::CLOCK_MONOTONIC)
}

/// Waits as a program without work does.
fn wait_until(then: Duration) {
    while monotonic() < then {
        std::thread::park_timeout(then.saturating_sub(monotonic()));
    }
}

#[inline(never)]
fn burn(span: Duration) -> Duration {
    let (begin, mut x) = (thread_cpu(), 1u64);
    while thread_cpu().saturating_sub(begin) < span {
        // Some of it in the C library, where there are no frame pointers.
        let mut buffer = [0u8; 4_096];
        for _ in 0..20 {
            x = (0..200).fold(x, |x, _| black_box(x ^ (x << 13) ^ (x >> 7)));
            buffer.copy_from_slice(black_box(&[x as u8; 4_096]));
            x ^= u64::from(black_box(buffer)[7]);
        }
    }
    thread_cpu().saturating_sub(begin)
}

fn start(hz: u32, is_controlled: bool) -> Profiler {
    let builder = Builder::new("bench").hz(hz).control_totals(is_controlled);
    builder.start().expect("started")
}

fn text(profile: &Profile, sample: usize, name: &str) -> String {
    let labels = profile.label_sets.get(profile.samples.labels[sample]);
    let found = labels.iter().find(|label| profile.text(label.key) == name);
    match found.map(|label| label.value) {
        Some(LabelValue::Text(text)) => profile.text(text).to_owned(),
        _ => String::new(),
    }
}

/// Nanoseconds of an operation's samples.
fn nanos(profile: &Profile, op: &str) -> f64 {
    let of = (0..profile.sample_count()).filter(|sample| text(profile, *sample, "op") == op);
    of.map(|sample| profile.values(sample)[0] as f64).sum()
}

/// Two threads that work under a tag while `work` runs; answers the CPU time that they used.
fn beside<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                davy_profiler::register_thread();
                let _guard = Tag::new("bench", "burn").enter();
                let mut used = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    used += burn(Duration::from_millis(1));
                }
                used
            })
        })
        .collect();
    let done = work();
    stop.store(true, Ordering::Relaxed);
    let used = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    (done, used.sum())
}

fn samples_and_stacks(hz: u32) {
    let profiler = start(hz, false);
    let handle = profiler.handle();
    let ((profile, cpu), _) = beside(|| {
        let process = || clock(libc::CLOCK_PROCESS_CPUTIME_ID);
        wait_until(monotonic() + Duration::from_millis(300));
        let (begin, then) = (process(), monotonic() + SPAN);
        let asked = handle.clone();
        let asked = std::thread::spawn(move || asked.cpu_profile(SPAN, &Filter::default()));
        // Names take longer than the span.
        wait_until(then);
        let cpu = process().saturating_sub(begin);
        (asked.join().expect("no panic").expect("a profile"), cpu)
    });
    let (mut all, mut whole) = (0.0, 0.0);
    for sample in 0..profile.sample_count() {
        let value = profile.values(sample)[0] as f64;
        let stack = profile.stacks.leaf_to_root(profile.samples.stacks[sample]);
        let roots = stack.last().map(|location| {
            let lines = profile.lines_of(&profile.locations[location as usize]);
            let line = lines
                .last()
                .map(|line| &profile.functions[line.function as usize]);
            line.map_or("", |function| profile.text(function.name))
                .to_owned()
        });
        let is_whole = roots.is_some_and(|root| {
            ["clone", "start_thread", "thread_start", "_start"]
                .iter()
                .any(|end| root.contains(end))
        });
        all += value;
        whole += if is_whole { value } else { 0.0 };
    }
    println!(
        "{:40} {:.4}",
        format!("samples x period / CPU time, {hz} Hz"),
        all / cpu.as_nanos() as f64
    );
    println!(
        "{:40} {:.2} %",
        format!("stacks to the thread's root, {hz} Hz"),
        whole / all * 100.0
    );
    let stats = handle.stats();
    println!(
        "{:40} {:.0} ns a sample",
        format!("in the handler, {hz} Hz"),
        stats.handler_seconds * 1e9 / stats.samples as f64
    );
}

/// Two operations of equal cost, in bursts that begin with the kernel's tick.
fn bursts(is_controlled: bool) -> f64 {
    let profiler = start(100, is_controlled);
    let handle = profiler.handle();
    let asked = std::thread::spawn(move || handle.cpu_profile(SPAN, &Filter::default()));
    let (begin, mut used) = (monotonic(), [Duration::ZERO; 2]);
    for round in 1..=(SPAN.as_millis() / 4) as u32 {
        for (used, op) in used.iter_mut().zip(["first", "second"]) {
            let _guard = Tag::new("bursts", op).enter();
            *used += burn(Duration::from_micros(1_400));
        }
        wait_until(begin + Duration::from_millis(4) * round);
    }
    let profile = asked.join().expect("no panic").expect("a profile");
    let (first, second) = (nanos(&profile, "first"), nanos(&profile, "second"));
    let truth = used[0].as_secs_f64() / (used[0] + used[1]).as_secs_f64();
    ((first / (first + second)) - truth) * 100.0
}

fn heap_cost() {
    let pairs = |profiler: Option<&Profiler>| {
        let begin = thread_cpu();
        let mut x = 7u64;
        for _ in 0..3_000_000u32 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            black_box(Vec::<u8>::with_capacity(16 << (x % 8)));
        }
        black_box(profiler);
        thread_cpu().saturating_sub(begin).as_nanos() as f64 / 3e6
    };
    let mut extra: Vec<f64> = (0..9)
        .map(|_| {
            let without = pairs(None);
            let profiler = Builder::new("bench").hz(1).start().expect("started");
            let with = pairs(Some(&profiler));
            with - without
        })
        .collect();
    extra.sort_by(f64::total_cmp);
    println!(
        "{:40} {:+.2} ns (quartiles {:+.2}, {:+.2})",
        "heap sampling, a malloc and free", extra[4], extra[2], extra[6]
    );
}

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("linux");
    let pages: f64 = statm
        .split(' ')
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(0.0);
    pages * 4_096.0 / f64::from(1 << 20)
}

fn tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let profiler = start(100, true);
    let handle = profiler.handle();
    let gate = Arc::new(tokio::sync::Notify::new());
    let tag = Tag::new("bench", "task");
    runtime.block_on(async {
        for _ in 0..10_000 {
            let gate = Arc::clone(&gate);
            tokio::spawn(tag.task(async move { gate.notified().await }));
        }
        tokio::task::yield_now().await;
    });
    let filter = Filter::default();
    handle
        .tasks_profile(&filter)
        .expect("names are known from now on");
    let before = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    let profile = handle.tasks_profile(&filter).expect("tasks");
    let cpu = clock(libc::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(before);
    let tasks: i64 = (0..profile.sample_count())
        .map(|s| profile.values(s)[2])
        .sum();
    println!(
        "{:40} {:.2} ms of CPU for {tasks}",
        "tasks dumped",
        cpu.as_secs_f64() * 1e3
    );
}

fn memory() {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..64)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            })
        })
        .collect();
    wait_until(monotonic() + Duration::from_secs(1));
    let before = resident();
    let profiler = start(100, true);
    wait_until(monotonic() + Duration::from_secs(5));
    println!(
        "{:40} {:+.1} MiB, {} threads",
        "own memory",
        resident() - before,
        profiler.handle().stats().threads
    );
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
}

fn main() {
    memory();
    {
        let profiler = start(1_000, true);
        let handle = profiler.handle();
        let (taken, _) = beside(|| {
            let begin = monotonic();
            let profile = handle.cpu_profile(Duration::from_millis(500), &Filter::default());
            (
                profile.expect("a profile").sample_count(),
                monotonic().saturating_sub(begin),
            )
        });
        let names = taken.1.saturating_sub(Duration::from_millis(500));
        // SAFETY: plain data that the call fills.
        let mut children: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the usage lives through the call.
        unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut children) };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        println!(
            "{:40} {:.0} ms beyond its span, {:.0} ms of CPU in the child, {} stacks",
            "first profile with names",
            names.as_secs_f64() * 1e3,
            (seconds(children.ru_utime) + seconds(children.ru_stime)) * 1e3,
            taken.0
        );
    }
    samples_and_stacks(100);
    samples_and_stacks(1_000);
    let plain: Vec<String> = (0..3).map(|_| format!("{:+.1}", bursts(false))).collect();
    let scaled: Vec<String> = (0..3).map(|_| format!("{:+.2}", bursts(true))).collect();
    println!(
        "{:40} {} pp",
        "error of a share in step, samples alone",
        plain.join(", ")
    );
    println!(
        "{:40} {} pp",
        "the same with control totals",
        scaled.join(", ")
    );
    heap_cost();
    tasks();
}
