//! Time in the kernel is shown by the system call that it was spent in.
#![cfg(target_arch = "x86_64")]

mod archiver;
mod work;

use archiver::Archiver;
use davy_profile::Profile;
use davy_profiler::Builder;
use davy_tag::Tag;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;
use work::{burn, label, stack, thread_cpu, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);
const MEMBER: &str = "system-calls";

/// Runs `call` on a thread until it has used a second of CPU time, and returns the pushed CPU profiles.
fn profiles_of(mut call: impl FnMut() + Send) -> Vec<Profile> {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("test")
        .hz(1_000)
        .archiver(archiver.url())
        .start()
        .expect("SIGPROF is free");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            davy_profiler::register_thread();
            burn(Duration::from_millis(250));
            let _guard = Tag::new(MEMBER, "call").enter();
            let begin = thread_cpu();
            while thread_cpu().saturating_sub(begin) < Duration::from_secs(1) {
                (0..50).for_each(|_| call());
            }
        });
    });
    profiler
        .shutdown(SHUTDOWN)
        .expect("everything is delivered");
    let pushes = archiver.all().into_iter();
    let of_cpu = pushes.filter(|push| push.label("__name__") == "process_cpu");
    of_cpu.map(|push| push.profile).collect()
}

/// CPU time of the thread by the leaf of its stacks.
fn leaves(profiles: &[Profile]) -> BTreeMap<String, i64> {
    let mut leaves = BTreeMap::new();
    for profile in profiles {
        for sample in 0..profile.sample_count() {
            if label(profile, sample, "member") == MEMBER {
                let leaf = stack(profile, sample).swap_remove(0);
                *leaves.entry(leaf).or_default() += profile.values(sample)[0];
            }
        }
    }
    leaves
}

/// The share of the CPU time whose leaf `is_wanted` accepts.
fn share(leaves: &BTreeMap<String, i64>, is_wanted: impl Fn(&str) -> bool) -> f64 {
    let wanted = leaves.iter().filter(|(leaf, _)| is_wanted(leaf));
    let wanted: i64 = wanted.map(|(_, nanos)| nanos).sum();
    wanted as f64 / leaves.values().sum::<i64>() as f64
}

/// Checks that at least nine tenths of the CPU time of `call` are shown as a system call.
#[track_caller]
fn check(expected: &str, call: impl FnMut() + Send) {
    let profiles = profiles_of(call);
    let leaves = leaves(&profiles);
    let share = share(&leaves, |leaf| leaf == expected);
    println!("{expected}: {:.1} %", share * 100.0);
    assert!(share >= 0.9, "{share:.3} of {leaves:?}");
}

#[test]
fn time_in_getrandom_is_shown_as_getrandom() {
    let mut buffer = vec![0u8; 16 << 10];
    check("[kernel] getrandom", || {
        // SAFETY: the buffer has this many bytes.
        unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    });
}

#[test]
fn time_in_read_is_shown_as_read() {
    let zero = File::open("/dev/zero").expect("/dev/zero");
    let mut buffer = vec![0u8; 128 << 10];
    check("[kernel] read", || {
        (&zero).read_exact(&mut buffer).expect("zeros");
    });
}

#[test]
fn time_in_pwrite_is_shown_as_pwrite64() {
    let file = tempfile::tempfile().expect("a file");
    let bytes = vec![1; 64 << 10];
    check("[kernel] pwrite64", || {
        file.write_all_at(&bytes, 0).expect("written");
    });
}

#[test]
fn time_in_send_is_shown_as_sendto() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender
        .connect(receiver.local_addr().expect("bound"))
        .expect("connected");
    let bytes = vec![1; 60 << 10];
    // The receiver's buffer is full soon, and the rest is dropped.
    check("[kernel] sendto", || {
        sender.send(&bytes).expect("sent");
    });
}

#[test]
fn number_that_is_an_argument_of_syscall_is_found_in_its_caller() {
    let mut buffer = vec![0u8; 16 << 10];
    check("[kernel] getrandom", || {
        // SAFETY: the buffer has this many bytes.
        unsafe { libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0) };
    });
}

#[test]
fn number_that_the_code_does_not_tell_is_shown_as_kernel() {
    let number = std::hint::black_box(libc::SYS_getrandom);
    let mut buffer = vec![0u8; 16 << 10];
    check("[kernel]", || {
        // SAFETY: the buffer has this many bytes.
        unsafe { libc::syscall(number, buffer.as_mut_ptr(), buffer.len(), 0) };
    });
}

#[test]
fn system_call_is_a_named_leaf_of_its_own_file_below_the_function_that_makes_it() {
    let zero = File::open("/dev/zero").expect("/dev/zero");
    let mut buffer = vec![0u8; 128 << 10];
    let profiles = profiles_of(|| {
        (&zero).read_exact(&mut buffer).expect("zeros");
    });
    let mut found = 0;
    for profile in &profiles {
        for location in &profile.locations {
            let Some(mapping) = location.mapping else {
                continue;
            };
            let mapping = &profile.mappings[mapping as usize];
            if profile.text(mapping.file) != "[kernel]" {
                continue;
            }
            // Without an address, nothing looks for another name.
            assert_eq!((location.address, location.line_count), (0, 1));
            let function = profile.lines_of(location)[0].function as usize;
            let function = &profile.functions[function];
            assert_eq!(profile.text(function.file), "[kernel]");
            found += 1;
        }
        let first = profile.mappings.first().expect("the executable");
        assert!(profile.text(first.file).contains("system_calls"));
        let is_read = |sample: &usize| {
            let stack = stack(profile, *sample);
            stack.first().is_some_and(|leaf| leaf == "[kernel] read")
        };
        for sample in (0..profile.sample_count()).filter(is_read) {
            let stack = stack(profile, sample);
            assert!(!stack[1].starts_with("[kernel]"), "{stack:?}");
        }
    }
    assert!(found > 0);
}

#[test]
fn user_code_has_no_frame_of_the_kernel() {
    let profiles = profiles_of(|| {
        let mut x = 1u64;
        for _ in 0..50_000 {
            x = std::hint::black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ x >> 7);
        }
    });
    let leaves = leaves(&profiles);
    let share = share(&leaves, |leaf| leaf.starts_with("[kernel]"));
    // The clock that ends the loop is a system call.
    assert!(share < 0.01, "{share:.3} of {leaves:?}");
}

// Calls `syscall` with the number in its second argument, and leaves no frame of its own.
std::arch::global_asm!(
    ".globl davy_test_forward",
    "davy_test_forward:",
    ".cfi_startproc",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov rcx, r8",
    "jmp qword ptr [rip + syscall@GOTPCREL]",
    ".cfi_endproc",
);

unsafe extern "C" {
    fn davy_test_forward(
        other: libc::c_long,
        number: libc::c_long,
        buffer: *mut u8,
        length: usize,
        flags: usize,
    ) -> libc::c_long;
}

#[test]
fn number_is_the_argument_that_a_function_passes_on_not_its_first() {
    let mut buffer = vec![0u8; 16 << 10];
    check("[kernel] getrandom", || {
        // SAFETY: the buffer has this many bytes. The first argument is ignored.
        unsafe {
            davy_test_forward(
                libc::SYS_write,
                libc::SYS_getrandom,
                buffer.as_mut_ptr(),
                buffer.len(),
                0,
            )
        };
    });
}

/// Ends in a jump to `syscall`.
#[inline(never)]
fn random(buffer: *mut u8, length: usize) -> libc::c_long {
    // SAFETY: the caller's buffer has this many bytes.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, 0) }
}

#[test]
fn number_is_found_in_a_function_that_ends_in_a_jump_to_syscall() {
    let mut buffer = vec![0u8; 16 << 10];
    check("[kernel] getrandom", || {
        random(buffer.as_mut_ptr(), buffer.len());
    });
}
