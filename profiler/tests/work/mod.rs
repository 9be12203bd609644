//! Work to profile, and queries of a profile.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use davy_profile::Profile;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Serializes the tests of one binary, because a process has one profiler.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// CPU time of this thread.
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Uses this much CPU time in a function that is visible in profiles. Returns the exact amount.
#[inline(never)]
pub fn burn(span: Duration) -> Duration {
    let begin = thread_cpu();
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    while thread_cpu().saturating_sub(begin) < span {
        for _ in 0..20_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x = black_box(x);
        }
    }
    thread_cpu().saturating_sub(begin)
}

/// The sum of the values of one type, of samples whose member and operation `keep` accepts; 0 in a profile
/// without this type.
pub fn sum(profile: &Profile, kind: &str, keep: impl Fn(&str, &str) -> bool) -> i64 {
    let types = &profile.sample_types;
    let Some(at) = types.iter().position(|t| profile.text(t.kind) == kind) else {
        return 0;
    };
    (0..profile.sample_count())
        .filter(|sample| {
            keep(
                &label(profile, *sample, "member"),
                &label(profile, *sample, "op"),
            )
        })
        .map(|sample| profile.values(sample)[at])
        .sum()
}

pub fn label(profile: &Profile, sample: usize, name: &str) -> String {
    profile.label(sample, name).to_owned()
}

/// The function names of a sample, from the leaf to the root.
pub fn stack(profile: &Profile, sample: usize) -> Vec<String> {
    profile
        .stacks
        .leaf_to_root(profile.samples.stacks[sample])
        .flat_map(|location| {
            let location = &profile.locations[location as usize];
            let lines = profile.lines_of(location);
            let names = lines.iter().map(|line| {
                let function = &profile.functions[line.function as usize];
                profile.text(function.name).to_owned()
            });
            let names: Vec<_> = names.collect();
            if names.is_empty() {
                vec![format!("{:#x}", location.address)]
            } else {
                names
            }
        })
        .collect()
}
