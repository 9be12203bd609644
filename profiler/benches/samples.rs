//! Whether samples say what is true: how much CPU time, whose, and from the root on.
//!
//! `cargo bench -p davy-profiler --bench samples`

mod table;

use davy_base::Random;
use davy_profile::Profile;
use davy_profiler::{Builder, Filter, Profiler};
use davy_tag::Tag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use table::{burn, head, monotonic, process_cpu, row, wait};

davy_profiler::use_jemalloc!();

const MEMBERS: [&str; 8] = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"];

fn start(hz: u32, is_controlled: bool) -> Profiler {
    let builder = Builder::new("bench").hz(hz).control_totals(is_controlled);
    builder.start().expect("started")
}

/// Nanoseconds of the samples of a member and, unless it is empty, an operation.
fn nanos(profile: &Profile, member: &str, op: &str) -> f64 {
    let is_of = |sample: &usize| {
        profile.label(*sample, "member") == member
            && (op.is_empty() || profile.label(*sample, "op") == op)
    };
    let of = (0..profile.sample_count()).filter(is_of);
    of.map(|sample| profile.values(sample)[0] as f64).sum()
}

/// Runs `work` on two threads until `until` has ended; answers what both came to.
fn beside<T, R: Send + 'static>(
    work: impl Fn(u64, &AtomicBool) -> R + Send + Clone + 'static,
    until: impl FnOnce() -> T,
) -> (T, Vec<R>) {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (1..=2)
        .map(|seed| {
            let (stop, work) = (Arc::clone(&stop), work.clone());
            std::thread::spawn(move || {
                davy_profiler::register_thread();
                work(seed, &stop)
            })
        })
        .collect();
    let done = until();
    stop.store(true, Ordering::Relaxed);
    let came_to = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    (done, came_to.collect())
}

/// The value of all samples, and of those whose stack reaches the thread's root.
fn sums(profile: &Profile) -> (f64, f64) {
    let (mut all, mut whole) = (0.0, 0.0);
    for sample in 0..profile.sample_count() {
        let value = profile.values(sample)[0] as f64;
        let root = profile
            .stacks
            .leaf_to_root(profile.samples.stacks[sample])
            .last();
        let root = root.and_then(|location| {
            let line = profile
                .lines_of(&profile.locations[location as usize])
                .last()?;
            Some(profile.text(profile.functions[line.function as usize].name))
        });
        let ends = ["clone", "start_thread", "thread_start", "_start"];
        all += value;
        if root.is_some_and(|root| ends.iter().any(|end| root.contains(end))) {
            whole += value;
        }
    }
    (all, whole)
}

fn weights(hz: u32) {
    const SPAN: Duration = Duration::from_secs(8);
    let profiler = start(hz, false);
    let handle = profiler.handle();
    let work = |_: u64, stop: &AtomicBool| {
        let _guard = Tag::new("bench", "burn").enter();
        while !stop.load(Ordering::Relaxed) {
            burn(Duration::from_millis(1));
        }
    };
    let ((profile, cpu), _) = beside(work, || {
        wait(Duration::from_millis(300));
        let (cpu, begin, asked) = (process_cpu(), monotonic(), handle.clone());
        let asked = std::thread::spawn(move || asked.cpu_profile(SPAN, &Filter::default()));
        wait(SPAN);
        // On a busy machine neither span is quite the other's.
        let used = (process_cpu() - cpu) as f64 / (monotonic() - begin) as f64;
        let profile = asked.join().expect("no panic").expect("a profile");
        let cpu = used * profile.duration_nanos as f64;
        (profile, cpu)
    });
    let (all, whole) = sums(&profile);
    let stats = handle.stats();
    row(
        &format!("samples x period / CPU time, {hz} Hz, not scaled"),
        format!("{:.4}", all / cpu),
        "0.99 to 1.01",
        format!(
            "{} samples, {} ticks that came while one was pending",
            stats.samples, stats.overruns
        ),
    );
    row(
        &format!("stacks to the thread's root, {hz} Hz"),
        format!("{:.2} %", whole / all * 100.0),
        "99.5 %",
        "a good part of the work is in the C library, without frame pointers",
    );
}

/// The error of a share of two operations of equal cost, in bursts that begin with the kernel's tick.
fn bursts(is_controlled: bool) -> String {
    const SPAN: Duration = Duration::from_secs(3);
    let error = || {
        let profiler = start(100, is_controlled);
        let handle = profiler.handle();
        let asked = std::thread::spawn(move || handle.cpu_profile(SPAN, &Filter::default()));
        let (begin, mut used) = (monotonic(), [Duration::ZERO; 2]);
        for round in 1..=(SPAN.as_millis() / 4) as u64 {
            for (used, op) in used.iter_mut().zip(["first", "second"]) {
                let _guard = Tag::new("bursts", op).enter();
                *used += burn(Duration::from_micros(1_400));
            }
            let next = begin + round * 4_000_000;
            wait(Duration::from_nanos(next.saturating_sub(monotonic())));
        }
        let profile = asked.join().expect("no panic").expect("a profile");
        let of = |op| nanos(&profile, "bursts", op);
        let truth = used[0].as_secs_f64() / (used[0] + used[1]).as_secs_f64();
        (of("first") / (of("first") + of("second")) - truth) * 100.0
    };
    let errors: Vec<String> = (0..2).map(|_| format!("{:+.2}", error())).collect();
    format!("{} pp", errors.join(" and "))
}

/// The largest error of a share of eight members of different cost, which take turns at random.
fn members(is_controlled: bool, span: Duration) -> f64 {
    let profiler = start(100, is_controlled);
    let handle = profiler.handle();
    let work = |seed: u64, stop: &AtomicBool| {
        let tags = MEMBERS.map(|member| Tag::new(member, "work"));
        let (mut used, mut random) = ([Duration::ZERO; 8], Random::seeded(seed));
        while !stop.load(Ordering::Relaxed) {
            let which = random.below(8) as usize;
            let _guard = tags[which].enter();
            let micros = 20 + random.below(200 * (which as u64 + 1));
            used[which] += burn(Duration::from_micros(micros));
        }
        used
    };
    let (profile, used) = beside(work, || handle.cpu_profile(span, &Filter::default()));
    let profile = profile.expect("a profile");
    let truth: Vec<f64> = (0..8)
        .map(|which| used.iter().map(|used| used[which].as_secs_f64()).sum())
        .collect();
    let seen = MEMBERS.map(|member| nanos(&profile, member, ""));
    let (all_true, all_seen) = (truth.iter().sum::<f64>(), seen.iter().sum::<f64>());
    let errors = truth
        .iter()
        .zip(seen)
        .map(|(truth, seen)| (seen / all_seen - truth / all_true).abs());
    errors.fold(0.0, f64::max) * 100.0
}

fn main() {
    head("Samples");
    weights(100);
    weights(1_000);
    row(
        "two members of equal cost in step with the tick, 100 Hz, control totals",
        bursts(true),
        "0.5 pp",
        format!("by samples alone {}", bursts(false)),
    );
    row(
        "8 members, 30 s at 100 Hz, largest error of a share, control totals",
        format!("{:.3} pp", members(true, Duration::from_secs(30))),
        "0.5 pp",
        format!(
            "by samples alone, 8 s: {:.2} pp",
            members(false, Duration::from_secs(8))
        ),
    );
}
