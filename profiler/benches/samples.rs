//! The accuracy of samples: their weight, their attribution, and the completeness of their stacks.
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

fn start(hz: u32, is_scaled: bool) -> Profiler {
    let builder = Builder::new("bench").hz(hz).scale_to_accounting(is_scaled);
    builder.start().expect("profiler started")
}

/// Nanoseconds of the samples of a member and, if `op` is not empty, an operation.
fn nanos(profile: &Profile, member: &str, op: &str) -> f64 {
    let is_of = |sample: &usize| {
        profile.label(*sample, "member") == member
            && (op.is_empty() || profile.label(*sample, "op") == op)
    };
    let of = (0..profile.sample_count()).filter(is_of);
    of.map(|sample| profile.values(sample)[0] as f64).sum()
}

/// Runs `work` on two threads until `until` returns. Returns its result and those of `work`.
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
    let results = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    (done, results.collect())
}

/// The sum of all samples, and of those whose stack reaches the root of its thread.
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
        let (cpu, begin, requested) = (process_cpu(), monotonic(), handle.clone());
        let requested = std::thread::spawn(move || requested.cpu_profile(SPAN, &Filter::default()));
        wait(SPAN);
        // The two spans differ slightly, so rates are compared.
        let used = (process_cpu() - cpu) as f64 / (monotonic() - begin) as f64;
        let profile = requested.join().expect("no panic").expect("a profile");
        let cpu = used * profile.duration_nanos as f64;
        (profile, cpu)
    });
    let (all, whole) = sums(&profile);
    let stats = handle.stats();
    row(
        &format!("sum of samples / CPU time, {hz} Hz, not scaled"),
        format!("{:.4}", all / cpu),
        "0.99 to 1.01",
        format!(
            "{} samples, {} ticks while a signal was pending",
            stats.samples, stats.overruns
        ),
    );
    row(
        &format!("complete stacks, {hz} Hz"),
        format!("{:.2} %", whole / all * 100.0),
        "99.5 %",
        "much of the work is in the C library, which has no frame pointers",
    );
}

/// The error of the share of two operations of equal cost, in bursts in step with the kernel's tick.
fn bursts(is_scaled: bool) -> String {
    const SPAN: Duration = Duration::from_secs(3);
    let error = || {
        let profiler = start(100, is_scaled);
        let handle = profiler.handle();
        let requested = std::thread::spawn(move || handle.cpu_profile(SPAN, &Filter::default()));
        let (begin, mut used) = (monotonic(), [Duration::ZERO; 2]);
        for round in 1..=(SPAN.as_millis() / 4) as u64 {
            for (used, op) in used.iter_mut().zip(["first", "second"]) {
                let _guard = Tag::new("bursts", op).enter();
                *used += burn(Duration::from_micros(1_400));
            }
            let next = begin + round * 4_000_000;
            wait(Duration::from_nanos(next.saturating_sub(monotonic())));
        }
        let profile = requested.join().expect("no panic").expect("a profile");
        let of = |op| nanos(&profile, "bursts", op);
        let truth = used[0].as_secs_f64() / (used[0] + used[1]).as_secs_f64();
        (of("first") / (of("first") + of("second")) - truth) * 100.0
    };
    let errors: Vec<String> = (0..2).map(|_| format!("{:+.2}", error())).collect();
    format!("{} pp", errors.join(" and "))
}

/// The largest error of the share of eight members of different cost, which alternate at random.
fn members(is_scaled: bool, span: Duration) -> f64 {
    let profiler = start(100, is_scaled);
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
    let (sum_true, sum_seen) = (truth.iter().sum::<f64>(), seen.iter().sum::<f64>());
    let errors = truth
        .iter()
        .zip(seen)
        .map(|(truth, seen)| (seen / sum_seen - truth / sum_true).abs());
    errors.fold(0.0, f64::max) * 100.0
}

fn main() {
    head("Samples");
    weights(100);
    weights(1_000);
    row(
        "error of the share of two members in step with the tick, 100 Hz, scaled",
        bursts(true),
        "0.5 pp",
        format!("not scaled: {}", bursts(false)),
    );
    row(
        "largest error of the share of 8 members, 30 s at 100 Hz, scaled",
        format!("{:.3} pp", members(true, Duration::from_secs(30))),
        "0.5 pp",
        format!(
            "not scaled, 8 s: {:.2} pp",
            members(false, Duration::from_secs(8))
        ),
    );
}
