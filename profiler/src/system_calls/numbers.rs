//! The names of system calls.
//!
//! The tables have the numbers that Linux 6.15 assigns in `arch/x86/entry/syscalls/syscall_64.tbl` and
//! `scripts/syscall.tbl`. They are text, because the crate libc lacks some numbers and has no way from a number to its
//! name; a crate of them would be one more for every program that is profiled.

use std::sync::OnceLock;

const TABLE: &str = if cfg!(target_arch = "aarch64") {
    include_str!("aarch64.txt")
} else {
    include_str!("x86_64.txt")
};

/// The name of a system call of this architecture.
pub(super) fn name(number: u32) -> Option<&'static str> {
    static NAMES: OnceLock<Vec<&str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let mut names = Vec::new();
        for (number, name) in TABLE.lines().filter_map(|row| row.split_once(' ')) {
            if let Ok(number) = number.parse::<usize>() {
                names.resize(names.len().max(number + 1), "");
                names[number] = name;
            }
        }
        names
    });
    let name = names.get(number as usize).copied();
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_the_numbers_of_the_crate_libc() {
        let check = |number: libc::c_long, expected| {
            assert_eq!(name(number as u32), Some(expected), "{number}");
        };
        check(libc::SYS_read, "read");
        check(libc::SYS_write, "write");
        check(libc::SYS_writev, "writev");
        check(libc::SYS_pread64, "pread64");
        check(libc::SYS_pwrite64, "pwrite64");
        check(libc::SYS_mmap, "mmap");
        check(libc::SYS_madvise, "madvise");
        check(libc::SYS_futex, "futex");
        check(libc::SYS_epoll_pwait, "epoll_pwait");
        check(libc::SYS_sendto, "sendto");
        check(libc::SYS_recvfrom, "recvfrom");
        check(libc::SYS_accept4, "accept4");
        check(libc::SYS_openat, "openat");
        check(libc::SYS_newfstatat, "newfstatat");
        check(libc::SYS_getdents64, "getdents64");
        check(libc::SYS_fsync, "fsync");
        check(libc::SYS_clone, "clone");
        check(libc::SYS_execve, "execve");
        check(libc::SYS_rt_sigaction, "rt_sigaction");
        check(libc::SYS_sched_yield, "sched_yield");
        check(libc::SYS_clock_nanosleep, "clock_nanosleep");
        check(libc::SYS_getrandom, "getrandom");
        check(libc::SYS_statx, "statx");
        check(libc::SYS_io_uring_enter, "io_uring_enter");
        check(libc::SYS_clone3, "clone3");
        check(libc::SYS_openat2, "openat2");
        check(libc::SYS_process_madvise, "process_madvise");
        check(libc::SYS_futex_waitv, "futex_waitv");
    }

    #[test]
    fn unknown_numbers_have_no_name() {
        assert_eq!(name(400), None);
        assert_eq!(name(u32::MAX), None);
    }

    #[test]
    fn every_row_is_a_number_and_a_name_in_ascending_order() {
        for table in [include_str!("x86_64.txt"), include_str!("aarch64.txt")] {
            let numbers: Vec<u32> = table
                .lines()
                .map(|row| {
                    let (number, name) = row.split_once(' ').expect("two fields");
                    let is_letter =
                        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                    assert!(!name.is_empty() && name.chars().all(is_letter), "{row}");
                    number.parse().expect("a number")
                })
                .collect();
            assert!(numbers.is_sorted_by(|a, b| a < b));
        }
    }
}
