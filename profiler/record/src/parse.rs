//! The kernel's records (`linux/perf_event.h`), those that matter here.

use perf_event_open_sys::bindings;

/// What is at or above this in a stack says whose the next addresses are (`PERF_CONTEXT_MAX`).
const CONTEXT_MARKS: u64 = -4_095_i64 as u64;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A stack, the leaf first.
    Sample {
        pid: u32,
        time: u64,
        period: u64,
        stack: Vec<u64>,
    },
    /// A file, or nothing, was mapped.
    Mapped {
        pid: u32,
        time: u64,
        start: u64,
        length: u64,
        offset: u64,
        is_code: bool,
        name: String,
    },
    /// A process was made.
    Forked { pid: u32, parent: u32, time: u64 },
    /// So many records did not fit.
    Lost(u64),
}

impl Record {
    /// When; records that tell no time come first.
    pub(crate) fn time(&self) -> u64 {
        match self {
            Self::Sample { time, .. } | Self::Mapped { time, .. } | Self::Forked { time, .. } => {
                *time
            }
            Self::Lost(_) => 0,
        }
    }

    /// From what follows a record's head; none where it does not matter or is not whole.
    pub(crate) fn parse(kind: u32, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        match kind {
            bindings::PERF_RECORD_SAMPLE => {
                let (pid, _tid) = (reader.u32()?, reader.u32()?);
                let (time, period) = (reader.u64()?, reader.u64()?);
                let count = reader.u64()?;
                let chain = (0..count).map_while(|_| reader.u64());
                // What is above this says whose the next addresses are, and is no address.
                let stack = chain.filter(|address| *address < CONTEXT_MARKS);
                Some(Self::Sample {
                    pid,
                    time,
                    period,
                    stack: stack.collect(),
                })
            }
            bindings::PERF_RECORD_MMAP2 => {
                let (pid, _tid) = (reader.u32()?, reader.u32()?);
                let (start, length, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
                // Device, inode and generation, or the build id.
                reader.skip(24)?;
                let protection = reader.u32()?;
                reader.skip(4)?;
                let name = reader.text()?;
                Some(Self::Mapped {
                    pid,
                    time: reader.time_at_end()?,
                    start,
                    length,
                    offset,
                    is_code: protection & libc::PROT_EXEC as u32 != 0,
                    name,
                })
            }
            bindings::PERF_RECORD_FORK => {
                let (pid, parent) = (reader.u32()?, reader.u32()?);
                reader.skip(8)?;
                let time = reader.u64()?;
                Some(Self::Forked { pid, parent, time })
            }
            bindings::PERF_RECORD_LOST => {
                reader.skip(8)?;
                Some(Self::Lost(reader.u64()?))
            }
            _ => None,
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
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

    /// A text that ends with a zero byte.
    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&self.0[..end]).into_owned())
    }

    /// The time at the end of a record that is no sample: `{ u32 pid, tid; u64 time }`.
    fn time_at_end(&self) -> Option<u64> {
        let bytes = self.0.last_chunk::<8>()?;
        Some(u64::from_ne_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn a_sample_is_read_without_the_marks_between_its_addresses() {
        let ids = u64::from_ne_bytes([7, 0, 0, 0, 8, 0, 0, 0]);
        let user_mark = -512_i64 as u64;
        let record = bytes(&[ids, 1_000, 250, 3, user_mark, 0x10, 0x20]);
        assert_eq!(
            Record::parse(bindings::PERF_RECORD_SAMPLE, &record),
            Some(Record::Sample {
                pid: 7,
                time: 1_000,
                period: 250,
                stack: vec![0x10, 0x20]
            })
        );
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        for length in 0..24 {
            assert_eq!(
                Record::parse(bindings::PERF_RECORD_MMAP2, &vec![0; length]),
                None
            );
            assert_eq!(
                Record::parse(bindings::PERF_RECORD_FORK, &vec![0; length.min(20)]),
                None
            );
        }
    }
}
