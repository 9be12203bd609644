//! The kernel's part of CPU samples, by perf events. Skipped where the kernel does not permit them.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profile::Profile;
use davy_profiler::{Builder, Filter, Profiler};
use davy_tag::Tag;
use davy_test_support::skip;
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use work::{burn, label, stack, sum, thread_cpu, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);
const MEMBER: &str = "kernel-stacks";

fn start(hz: u32, archiver: &Archiver) -> Option<Profiler> {
    let profiler = Builder::new("test")
        .hz(hz)
        .kernel_stacks(true)
        .scale_to_accounting(false)
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free");
    burn(Duration::from_millis(300));
    let reason = profiler.handle().stats().no_kernel_stacks_reason;
    if reason.is_empty() {
        return Some(profiler);
    }
    skip(&reason);
    None
}

/// The CPU profiles that a profiler has pushed when it is shut down.
fn pushed(profiler: Profiler, archiver: &Archiver) -> Vec<Profile> {
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let pushes = archiver.all().into_iter();
    let of_cpu = pushes.filter(|push| push.label("__name__") == "process_cpu");
    of_cpu.map(|push| push.profile).collect()
}

fn number_of_events() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let targets = files
        .flatten()
        .filter_map(|file| std::fs::read_link(file.path()).ok());
    targets
        .filter(|target| target.ends_with("anon_inode:[perf_event]"))
        .count()
}

/// Uses a second of CPU time in `call`, on a thread of its own.
fn work(op: &str, mut call: impl FnMut() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _guard = Tag::new(MEMBER, op).enter();
            let begin = thread_cpu();
            while thread_cpu().saturating_sub(begin) < Duration::from_secs(1) {
                call();
            }
        });
    });
}

#[test]
fn samples_in_a_system_call_show_the_functions_of_the_kernel_above_it() {
    let _turn = turn();
    let archiver = Archiver::start();
    let Some(profiler) = start(1_000, &archiver) else {
        return;
    };
    let zero = File::open("/dev/zero").expect("/dev/zero");
    let mut buffer = vec![0u8; 128 << 10];
    work("read", || {
        (&zero).read_exact(&mut buffer).expect("zeros");
    });
    work("burn", || {
        burn(Duration::from_millis(1));
    });
    drop(zero);
    let profiles = pushed(profiler, &archiver);
    let (mut in_read, mut inside, mut in_burn, mut kernel_in_burn) = (0, 0, 0, 0);
    for profile in &profiles {
        for sample in 0..profile.sample_count() {
            let nanos = profile.values(sample)[0];
            let stack = stack(profile, sample);
            let is_kernel = |frame: &String| frame.starts_with("[kernel]");
            let is_in_kernel = stack.first().is_some_and(is_kernel);
            match label(profile, sample, "op").as_str() {
                "read" => {
                    in_read += nanos;
                    // From the leaf to the root: the functions, the system call, the program.
                    let at = |name: &str| stack.iter().position(|frame| frame == name);
                    let calls = at("[kernel] vfs_read").zip(at("[kernel] read"));
                    if let Some((function, call)) = calls {
                        let program = stack.iter().skip(call + 1);
                        assert!(function < call, "{stack:?}");
                        assert!(!program.into_iter().any(is_kernel), "{stack:?}");
                        inside += nanos;
                    }
                }
                "burn" => {
                    in_burn += nanos;
                    kernel_in_burn += if is_in_kernel { nanos } else { 0 };
                }
                _ => {}
            }
        }
    }
    println!("{inside} of {in_read} in vfs_read, {kernel_in_burn} of {in_burn} in the kernel");
    assert!((900_000_000..1_100_000_000).contains(&in_read), "{in_read}");
    assert!((900_000_000..1_100_000_000).contains(&in_burn), "{in_burn}");
    // On a machine with other load, some samples are of interrupts and of the scheduler.
    assert!(inside > in_read / 2, "{inside} of {in_read}");
    assert!(
        kernel_in_burn < in_burn / 4,
        "{kernel_in_burn} of {in_burn}"
    );
    assert_eq!(number_of_events(), 0);
}

#[test]
fn time_of_threads_that_use_few_periods_is_counted() {
    const THREADS: usize = 40;
    let _turn = turn();
    let archiver = Archiver::start();
    let Some(profiler) = start(100, &archiver) else {
        return;
    };
    let barrier = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                let _guard = Tag::new(MEMBER, "short").enter();
                burn(Duration::from_millis(15))
            })
        })
        .collect();
    while profiler.handle().stats().threads < THREADS {
        std::thread::yield_now();
    }
    barrier.wait();
    let used = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"));
    let used: Duration = used.sum();
    let profiles = pushed(profiler, &archiver);
    let sums = profiles.iter().map(|profile| {
        sum(profile, "cpu", |member, op| {
            (member, op) == (MEMBER, "short")
        })
    });
    let (sampled, used) = (sums.sum::<i64>() as f64, used.as_nanos() as f64);
    println!("{sampled} of {used}");
    assert!((sampled / used - 1.0).abs() < 0.4, "{sampled} of {used}");
    assert_eq!(number_of_events(), 0);
}

#[test]
fn rate_can_be_changed_while_handlers_run() {
    let _turn = turn();
    let archiver = Archiver::start();
    let Some(profiler) = start(1_000, &archiver) else {
        return;
    };
    let handle = profiler.handle();
    let changes = std::thread::spawn(move || {
        for round in 0..200 {
            handle.set_hz([1_000, 0, 500][round % 3]).expect("running");
            let _ = handle.cpu_profile(Duration::from_millis(1), &Filter::default());
        }
        handle.set_hz(1_000).expect("running");
    });
    let zero = File::open("/dev/zero").expect("/dev/zero");
    let mut buffer = vec![0u8; 16 << 10];
    while !changes.is_finished() {
        (&zero).read_exact(&mut buffer).expect("zeros");
    }
    changes.join().expect("no panic");
    profiler.shutdown(SHUTDOWN).expect("delivered");
}

#[test]
fn thread_without_a_file_for_its_event_is_sampled_by_its_timer() {
    let _turn = turn();
    let archiver = Archiver::start();
    let Some(profiler) = start(1_000, &archiver) else {
        return;
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit outlives the calls.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let low = libc::rlimit {
        rlim_cur: 8,
        ..limit
    };
    let set = |limit: &libc::rlimit| {
        // SAFETY: the limit outlives the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    };
    set(&low);
    work("burn", || {
        burn(Duration::from_millis(1));
    });
    let reason = profiler.handle().stats().no_kernel_stacks_reason;
    set(&limit);
    assert!(reason.contains("ulimit -n"), "{reason}");
    let profiles = pushed(profiler, &archiver);
    let sums = profiles
        .iter()
        .map(|profile| sum(profile, "cpu", |member, _| member == MEMBER));
    let sampled: i64 = sums.sum();
    assert!((900_000_000..1_100_000_000).contains(&sampled), "{sampled}");
}
