//! CPU samples: their weight, their tags, and their stacks.

mod archiver;
mod work;

use archiver::{Archiver, Push};
use davy_profiler::{Builder, Error, Filter, Profiler};
use davy_tag::Tag;
use std::time::Duration;
use work::{burn, label, stack, sum, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

fn start(hz: u32, archiver: &Archiver) -> Profiler {
    Builder::new("test")
        .hz(hz)
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free")
}

/// Shuts the profiler down, and returns every window that was pushed.
fn finish(profiler: Profiler, archiver: &Archiver) -> Vec<Push> {
    profiler
        .shutdown(SHUTDOWN)
        .expect("everything is delivered");
    archiver.all()
}

/// Waits until the names of this program are known, so that windows have them.
fn wait_for_names(profiler: &Profiler) {
    std::thread::scope(|scope| {
        scope.spawn(|| burn(Duration::from_millis(300)));
        let span = Duration::from_millis(200);
        let profile = profiler.handle().cpu_profile(span, &Filter::default());
        profile.expect("a profile");
    });
}

fn member_nanos(pushes: &[Push], member: &str) -> i64 {
    pushes
        .iter()
        .filter(|push| push.label("__name__") == "process_cpu")
        .map(|push| sum(&push.profile, "cpu", |m, _| m == member))
        .sum()
}

/// Compares the CPU time of two threads, two seconds each, with the sum of their samples.
fn samples_match_cpu_time(hz: u32, member: &str, tolerance: f64) {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(hz, &archiver);
    let used: Duration = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    // A new thread is not sampled until the profiler finds it, so tagged work starts after
                    // that time.
                    burn(Duration::from_millis(250));
                    let _guard = Tag::new(member, "burn").enter();
                    burn(Duration::from_secs(2))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    let pushes = finish(profiler, &archiver);
    let ratio = member_nanos(&pushes, member) as f64 / used.as_nanos() as f64;
    println!("{hz} Hz: samples over CPU time {ratio:.4}");
    assert!(
        (1.0 - tolerance..=1.0 + tolerance).contains(&ratio),
        "{ratio}"
    );
}

#[test]
fn samples_at_100_hz_match_the_cpu_time_of_two_threads() {
    samples_match_cpu_time(100, "hundred", 0.03);
}

#[test]
fn samples_at_1000_hz_match_the_cpu_time_of_two_threads() {
    samples_match_cpu_time(1_000, "thousand", 0.03);
}

#[test]
fn two_members_on_one_thread_get_their_true_shares() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    let (small, large) = (Tag::new("small", "s"), Tag::new("large", "l"));
    let (mut small_used, mut large_used) = (Duration::ZERO, Duration::ZERO);
    burn(Duration::from_millis(250));
    let outer = large.enter();
    // Random spans, which cannot be in step with the kernel's tick.
    let mut random = davy_base::Random::seeded(5);
    for _ in 0..60 {
        large_used += burn(Duration::from_micros(20_000 + random.below(30_000)));
        let guard = small.enter();
        small_used += burn(Duration::from_micros(5_000 + random.below(15_000)));
        drop(guard);
    }
    drop(outer);
    let pushes = finish(profiler, &archiver);
    let (small, large) = (
        member_nanos(&pushes, "small"),
        member_nanos(&pushes, "large"),
    );
    let share = small as f64 / (small + large) as f64;
    let truth = small_used.as_secs_f64() / (small_used + large_used).as_secs_f64();
    assert!(
        (share - truth).abs() < 0.03,
        "share {share:.3}, truth {truth:.3}"
    );
}

/// The sampled and the true share of the first of two operations with equal CPU time, in bursts that start
/// every 4 ms like the kernel's tick.
fn share_in_step_with_the_tick(hz: u32, is_scaled: bool) -> (f64, f64) {
    let archiver = Archiver::start();
    let profiler = Builder::new("test")
        .hz(hz)
        .scale_to_accounting(is_scaled)
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free");
    let tags = ["first", "second"].map(|op| Tag::new("bursts", op));
    let clock = davy_base::Clock::system();
    let mut used = [Duration::ZERO; 2];
    burn(Duration::from_millis(250));
    let begin = clock.monotonic();
    for round in 1..=500u32 {
        for (tag, used) in tags.into_iter().zip(&mut used) {
            let _guard = tag.enter();
            *used += burn(Duration::from_micros(1_500));
        }
        let next = begin + Duration::from_millis(4) * round;
        while clock.monotonic() < next {
            std::thread::park_timeout(next.saturating_sub(clock.monotonic()));
        }
    }
    let pushes = finish(profiler, &archiver);
    let of = |op: &str| -> i64 {
        let of = |push: &Push| sum(&push.profile, "cpu", |_, o| o == op);
        let is_cpu = |push: &&Push| push.label("__name__") == "process_cpu";
        pushes.iter().filter(is_cpu).map(of).sum()
    };
    let (first, second) = (of("first"), of("second"));
    let truth = used[0].as_secs_f64() / (used[0] + used[1]).as_secs_f64();
    (first as f64 / (first + second).max(1) as f64, truth)
}

#[test]
fn work_in_step_with_the_kernels_tick_gets_its_true_share() {
    let _turn = turn();
    let (plain, _) = share_in_step_with_the_tick(100, false);
    let (share, truth) = share_in_step_with_the_tick(100, true);
    println!("sampled {plain:.3}, scaled {share:.3}, truth {truth:.3}");
    assert!(
        (share - truth).abs() <= 0.02,
        "{share:.3}, truth {truth:.3}"
    );
}

#[test]
fn late_thread_is_sampled_with_tag_names_and_lines() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    wait_for_names(&profiler);
    std::thread::spawn(|| {
        let _guard = Tag::new("late", "thread").enter();
        burn(Duration::from_millis(800));
    })
    .join()
    .expect("no panic");
    let pushes = finish(profiler, &archiver);
    assert!(member_nanos(&pushes, "late") > 500_000_000);
    let push = pushes
        .iter()
        .max_by_key(|push| sum(&push.profile, "cpu", |member, _| member == "late"))
        .expect("a window");
    let profile = &push.profile;
    assert_eq!(profile.text(profile.period_type.kind), "cpu");
    assert_eq!(profile.period, 1_000_000);
    let of_late = (0..profile.sample_count()).filter(|s| label(profile, *s, "member") == "late");
    let stacks: Vec<Vec<String>> = of_late.map(|sample| stack(profile, sample)).collect();
    let whole = stacks.iter().filter(|stack| {
        let at = |needle: &str| stack.iter().any(|name| name.contains(needle));
        at("work::burn") && at("late_thread_is_sampled") && at("thread_start")
    });
    let whole = whole.count();
    assert!(
        whole * 10 >= stacks.len() * 9,
        "{whole} of {} whole: {:?}",
        stacks.len(),
        stacks.first()
    );
    assert!(
        profile.lines.iter().any(|line| line.line > 0),
        "lines are known"
    );
    let files = profile
        .functions
        .iter()
        .map(|function| profile.text(function.file));
    assert!(files.into_iter().any(|file| file.ends_with("work/mod.rs")));
    assert!(
        stacks
            .iter()
            .flatten()
            .all(|name| !name.contains("::h0") && !name.starts_with("_ZN"))
    );
}

#[test]
fn rings_of_ended_threads_are_reused() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    for _ in 0..120 {
        std::thread::spawn(|| burn(Duration::from_millis(6)))
            .join()
            .expect("no panic");
    }
    burn(Duration::from_millis(300));
    let stats = profiler.handle().stats();
    assert!(stats.threads < 40, "ended threads are removed: {stats:?}");
    assert!(stats.rings < 60, "rings are reused: {stats:?}");
    finish(profiler, &archiver);
}

#[inline(never)]
fn recurse(depth: u32, work: &mut dyn FnMut()) -> u32 {
    if depth == 0 {
        work();
        return 0;
    }
    std::hint::black_box(recurse(std::hint::black_box(depth - 1), work)) + 1
}

#[test]
fn deep_stack_is_truncated_and_marked() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(|| {
            let _guard = Tag::new("deep", "recursion").enter();
            recurse(100_000, &mut || {
                burn(Duration::from_millis(600));
            });
        })
        .expect("thread started")
        .join()
        .expect("no panic");
    let handle = profiler.handle();
    let pushes = finish(profiler, &archiver);
    let mut marked = 0;
    for push in &pushes {
        for sample in 0..push.profile.sample_count() {
            if label(&push.profile, sample, "member") == "deep" {
                let stack = stack(&push.profile, sample);
                let root = stack.last().map(String::as_str);
                marked += usize::from(root == Some("(stack truncated at 400 frames)"));
            }
        }
    }
    assert!(
        marked > 0 && handle.stats().stacks_truncated > 0,
        "{marked}"
    );
}

#[test]
fn short_lived_and_panicking_threads_are_sampled_at_1000_hz() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let handle = profiler.handle();
    let (mut panics, mut rounds) = (0, 0);
    // On a busy machine, most of these threads end before they are found.
    while rounds < 400 || handle.stats().samples <= 100 {
        let round = rounds;
        rounds += 1;
        let threads: Vec<_> = (0..8)
            .map(|i| {
                std::thread::spawn(move || {
                    if i % 4 == 0 {
                        davy_profiler::register_thread();
                    }
                    let _guard = Tag::new("storm", "thread").enter();
                    burn(Duration::from_micros(700));
                    assert!(i != round % 8, "deliberate panic");
                })
            })
            .collect();
        for thread in threads {
            panics += u32::from(thread.join().is_err());
        }
    }
    std::panic::set_hook(hook);
    assert_eq!(panics, rounds);
    finish(profiler, &archiver);
    let stats = handle.stats();
    assert_eq!(stats.dropped.ring_full, 0, "{stats:?}");
    assert!(stats.samples > 100, "{stats:?}");
}

#[test]
fn sampling_can_be_turned_off_and_on_while_running() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(100, &archiver);
    let handle = profiler.handle();
    let settle = || burn(Duration::from_millis(250));
    handle.set_hz(0).expect("the profiler is running");
    settle();
    {
        let _guard = Tag::new("rate", "off").enter();
        burn(Duration::from_millis(500));
    }
    handle.set_hz(1_000).expect("the profiler is running");
    settle();
    {
        let _guard = Tag::new("rate", "on").enter();
        burn(Duration::from_millis(500));
    }
    assert!(matches!(handle.set_hz(1_001), Err(Error::Setting { .. })));
    let pushes = finish(profiler, &archiver);
    let of = |op: &str| -> i64 {
        let cpu = pushes
            .iter()
            .filter(|push| push.label("__name__") == "process_cpu");
        cpu.map(|push| {
            sum(&push.profile, "cpu", |member, o| {
                member == "rate" && o == op
            })
        })
        .sum()
    };
    assert_eq!(of("off"), 0);
    assert!(
        (450_000_000..550_000_000).contains(&of("on")),
        "{}",
        of("on")
    );
}

#[test]
fn forked_child_runs_and_exits_normally() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    burn(Duration::from_millis(250));
    for _ in 0..20 {
        // SAFETY: the child only computes and exits, which is safe after a fork.
        let child = unsafe { libc::fork() };
        if child == 0 {
            burn(Duration::from_millis(10));
            // SAFETY: exits the child.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: waits for the child that was just forked.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7,
            "{status:#x}"
        );
    }
    finish(profiler, &archiver);
}

#[test]
fn forked_child_can_start_its_own_profiler() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    burn(Duration::from_millis(100));
    // SAFETY: the child goes on like a worker of a forking server; its allocator supports that.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let own = Builder::new("child").hz(1_000).start();
        let samples = own.map_or(0, |own| {
            while own.handle().stats().threads < 2 {
                burn(Duration::from_millis(1));
            }
            burn(Duration::from_millis(300));
            let samples = own.handle().stats().samples;
            drop(own);
            samples
        });
        // SAFETY: exits the child.
        unsafe { libc::_exit(i32::from(samples < 20)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just forked.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{status:#x}");
    assert_eq!(libc::WEXITSTATUS(status), 0);
    finish(profiler, &archiver);
}

#[test]
fn counters_of_a_second_profiler_start_at_zero() {
    let _turn = turn();
    let archiver = Archiver::start();
    let first = start(1_000, &archiver);
    let handle = first.handle();
    while handle.stats().samples < 200 {
        burn(Duration::from_millis(10));
    }
    finish(first, &archiver);
    let second = start(1, &archiver);
    while second.handle().stats().threads < 2 {
        burn(Duration::from_millis(1));
    }
    assert!(second.handle().stats().samples < 20);
    finish(second, &archiver);
}

/// The share of the CPU time of threads that live for 60 ms that was sampled, without scaling to accounting.
fn sampled_share_of_short_threads(member: &'static str, begin: fn()) -> f64 {
    let _turn = turn();
    let archiver = Archiver::start();
    let builder = Builder::new("test").hz(1_000).archiver(archiver.url());
    let profiler = builder.scale_to_accounting(false).start();
    let profiler = profiler.expect("SIGPROF is free");
    let handle = profiler.handle();
    while handle.stats().threads < 2 {
        burn(Duration::from_millis(1));
    }
    let run = move || {
        begin();
        let _guard = Tag::new(member, "thread").enter();
        burn(Duration::from_millis(60))
    };
    let threads = (0..10).map(|_| std::thread::spawn(run).join().expect("no panic"));
    let used: Duration = threads.sum();
    let pushes = finish(profiler, &archiver);
    member_nanos(&pushes, member) as f64 / used.as_nanos() as f64
}

#[test]
fn registered_thread_is_sampled_from_its_first_milliseconds() {
    let share = sampled_share_of_short_threads("registered", davy_profiler::register_thread);
    assert!(share > 0.7, "{share}");
}

#[test]
fn thread_is_sampled_from_its_first_tag() {
    let share = sampled_share_of_short_threads("tagged", || ());
    assert!(share > 0.7, "{share}");
}

#[test]
fn profile_includes_the_profilers_own_threads() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(1_000, &archiver);
    let handle = profiler.handle();
    // Ending windows gives the profiler's threads work.
    let member = |push: &Push| sum(&push.profile, "cpu", |member, _| member == "profiler");
    let mut own = 0;
    while own == 0 {
        handle.set_hz(999).expect("the profiler is running");
        burn(Duration::from_millis(100));
        handle.set_hz(1_000).expect("the profiler is running");
        burn(Duration::from_millis(100));
        own += archiver.all().iter().map(member).sum::<i64>();
    }
    finish(profiler, &archiver);
}

#[test]
fn process_has_one_profiler_at_a_time() {
    let _turn = turn();
    let archiver = Archiver::start();
    let first = start(100, &archiver);
    assert!(matches!(
        Builder::new("second").start(),
        Err(Error::AlreadyRunning)
    ));
    drop(first);
    drop(
        Builder::new("third")
            .start()
            .expect("the first one has been dropped"),
    );
}
