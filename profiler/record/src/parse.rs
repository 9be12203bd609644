//! Parses the kernel's records (`linux/perf_event.h`).

use crate::event::{Parts, registers};
use perf_event_open_sys::bindings;

/// Values from here up are markers in a chain, not addresses (`PERF_CONTEXT_MAX`).
const CONTEXT_MARKERS: u64 = -4_095_i64 as u64;

/// A record that the recorder uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A sample of a thread.
    Sample(Sample),
    /// Code was mapped.
    Mapped {
        pid: u32,
        time: u64,
        start: u64,
        length: u64,
        offset: u64,
        file: FileId,
    },
    /// A process or a thread was created.
    Forked {
        pid: u32,
        parent: u32,
        thread: u32,
        time: u64,
    },
    /// A process executed another program.
    Executed { pid: u32, time: u64 },
    /// This many records did not fit into the ring.
    Lost(u64),
    /// The kernel throttled sampling because it took too long.
    Throttled,
}

/// The identity of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) name: String,
    /// 0 if unknown.
    pub(crate) inode: u64,
    /// Major and minor device number.
    pub(crate) device: (u32, u32),
}

/// A sample of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) pid: u32,
    pub(crate) time: u64,
    pub(crate) period: u64,
    /// Whether the thread was in the kernel.
    pub(crate) in_kernel: bool,
    /// The kernel's frame-pointer chain, leaf first.
    pub(crate) chain: Vec<u64>,
    /// Registers and stack, to be unwound here; `None` for 32-bit programs.
    pub(crate) user: Option<User>,
}

/// User registers and a copy of the user stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) registers: [u64; registers::COUNT],
    /// Begins at the stack pointer.
    pub(crate) stack: Vec<u8>,
}

impl Record {
    /// Time of the record; 0 for records without a time, which sorts them first.
    pub(crate) fn time(&self) -> u64 {
        match self {
            Self::Sample(Sample { time, .. })
            | Self::Mapped { time, .. }
            | Self::Forked { time, .. }
            | Self::Executed { time, .. } => *time,
            Self::Lost(_) | Self::Throttled => 0,
        }
    }

    /// Parses the body of a record. `None` if the recorder does not use it, or if it is truncated.
    pub(crate) fn parse(kind: u32, flags: u16, bytes: &[u8], parts: Parts) -> Option<Self> {
        let mut reader = Reader(bytes);
        match kind {
            bindings::PERF_RECORD_SAMPLE => sample(reader, flags, parts).map(Self::Sample),
            bindings::PERF_RECORD_MMAP2 => {
                let (pid, _tid) = (reader.u32()?, reader.u32()?);
                let (start, length, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
                let device = (reader.u32()?, reader.u32()?);
                let (inode, _generation) = (reader.u64()?, reader.u64()?);
                let protection = reader.u32()?;
                reader.skip(4)?;
                let name = reader.text()?;
                let time = reader.time_at_end()?;
                let is_code = protection & libc::PROT_EXEC as u32 != 0;
                is_code.then_some(Self::Mapped {
                    pid,
                    time,
                    start,
                    length,
                    offset,
                    file: FileId {
                        name,
                        inode,
                        device,
                    },
                })
            }
            bindings::PERF_RECORD_FORK => {
                let (pid, parent) = (reader.u32()?, reader.u32()?);
                let (thread, _parent_thread) = (reader.u32()?, reader.u32()?);
                let time = reader.u64()?;
                Some(Self::Forked {
                    pid,
                    parent,
                    thread,
                    time,
                })
            }
            bindings::PERF_RECORD_COMM
                if u32::from(flags) & bindings::PERF_RECORD_MISC_COMM_EXEC != 0 =>
            {
                let pid = reader.u32()?;
                let time = reader.time_at_end()?;
                Some(Self::Executed { pid, time })
            }
            bindings::PERF_RECORD_LOST => {
                reader.skip(8)?;
                Some(Self::Lost(reader.u64()?))
            }
            bindings::PERF_RECORD_THROTTLE => Some(Self::Throttled),
            _ => None,
        }
    }
}

fn sample(mut reader: Reader<'_>, flags: u16, parts: Parts) -> Option<Sample> {
    let (pid, _tid) = (reader.u32()?, reader.u32()?);
    let (time, period) = (reader.u64()?, reader.u64()?);
    let mode = u32::from(flags) & bindings::PERF_RECORD_MISC_CPUMODE_MASK;
    let mut chain = Vec::new();
    if parts.chain {
        let count = reader.u64()?;
        for _ in 0..count {
            let address = reader.u64()?;
            if address < CONTEXT_MARKERS {
                chain.push(address);
            }
        }
    }
    let user = if parts.stack_bytes > 0 {
        let (is_64_bit, user) = reader.user()?;
        is_64_bit.then_some(user)
    } else {
        None
    };
    Some(Sample {
        pid,
        time,
        period,
        in_kernel: mode == bindings::PERF_RECORD_MISC_KERNEL,
        chain,
        user,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(first)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.take(bytes).map(|_| ())
    }

    fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*first))
    }

    fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*first))
    }

    /// Whether the program is a 64-bit one, and its registers and stack:
    /// `{ u64 abi; u64 registers[]; u64 size; char stack[size]; u64 valid }`, without `registers` for a
    /// kernel thread, and without `valid` if the size is 0.
    fn user(&mut self) -> Option<(bool, User)> {
        let abi = self.u64()?;
        let mut values = [0; registers::COUNT];
        if abi != u64::from(bindings::PERF_SAMPLE_REGS_ABI_NONE) {
            for value in &mut values {
                *value = self.u64()?;
            }
        }
        let size = self.u64()? as usize;
        let stack = self.take(size)?;
        let valid = if size > 0 { self.u64()? as usize } else { 0 };
        let is_64_bit = abi == u64::from(bindings::PERF_SAMPLE_REGS_ABI_64);
        let user = User {
            registers: values,
            stack: stack[..valid.min(size)].to_vec(),
        };
        Some((is_64_bit, user))
    }

    /// A zero-terminated string.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&self.0[..end]).into_owned())
    }

    /// The time at the end of a record other than a sample: `{ u32 pid, tid; u64 time }`.
    fn time_at_end(&self) -> Option<u64> {
        let bytes = self.0.last_chunk::<8>()?;
        Some(u64::from_ne_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: Parts = Parts {
        chain: true,
        stack_bytes: 0,
        kernel: true,
    };

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn ids(pid: u32, thread: u32) -> u64 {
        let [a, b, c, d] = pid.to_ne_bytes();
        let [e, f, g, h] = thread.to_ne_bytes();
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    #[test]
    fn markers_are_removed_from_the_chain() {
        let user_marker = -512_i64 as u64;
        let record = bytes(&[ids(7, 8), 1_000, 250, 3, user_marker, 0x10, 0x20]);
        assert_eq!(
            Record::parse(bindings::PERF_RECORD_SAMPLE, 1, &record, CHAIN),
            Some(Record::Sample(Sample {
                pid: 7,
                time: 1_000,
                period: 250,
                in_kernel: true,
                chain: vec![0x10, 0x20],
                user: None,
            }))
        );
    }

    #[test]
    fn stack_copy_is_limited_to_its_valid_bytes() {
        let parts = Parts {
            chain: false,
            stack_bytes: 16,
            kernel: false,
        };
        let check = |abi: u32, words: &[u64], expected: Result<Option<User>, ()>| {
            let head = [ids(7, 8), 1_000, 250, u64::from(abi)];
            let record = bytes(&[&head, words].concat());
            let read = Record::parse(bindings::PERF_RECORD_SAMPLE, 2, &record, parts);
            let user = read.ok_or(()).map(|record| match record {
                Record::Sample(sample) => sample.user,
                other => panic!("expected a sample, got {other:?}"),
            });
            assert_eq!(user, expected);
        };
        let mut words: Vec<u64> = (1..=registers::COUNT as u64).collect();
        words.extend([16, 0xaa, 0xbb, 8]);
        let user = User {
            registers: std::array::from_fn(|index| index as u64 + 1),
            stack: 0xaa_u64.to_ne_bytes().to_vec(),
        };
        check(bindings::PERF_SAMPLE_REGS_ABI_64, &words, Ok(Some(user)));
        check(bindings::PERF_SAMPLE_REGS_ABI_32, &words, Ok(None));
        check(bindings::PERF_SAMPLE_REGS_ABI_NONE, &[0], Ok(None));
        // A size beyond the end of the record.
        words[registers::COUNT] = u64::MAX;
        check(bindings::PERF_SAMPLE_REGS_ABI_64, &words, Err(()));
    }

    #[test]
    fn truncated_records_are_ignored() {
        for kind in [
            bindings::PERF_RECORD_MMAP2,
            bindings::PERF_RECORD_FORK,
            bindings::PERF_RECORD_SAMPLE,
            bindings::PERF_RECORD_COMM,
        ] {
            let exec = bindings::PERF_RECORD_MISC_COMM_EXEC as u16;
            for length in 0..8 {
                let parsed = Record::parse(kind, exec, &vec![0; length], CHAIN);
                assert!(parsed.is_none() || length >= 8, "{parsed:?}");
            }
        }
    }
}
