//! What is mapped where in each process that is recorded.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Processes that are told apart; what others do is counted as unmapped.
const PROCESSES_MAX: usize = 16_384;
/// Mappings of one process.
const MAPPINGS_MAX: usize = 65_536;

/// A piece of a file in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    end: u64,
    offset: u64,
    file: u32,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Its number; see [`Maps::files`].
    pub(crate) file: u32,
    /// The offset in the file; in what has no file, the address.
    pub(crate) offset: u64,
    /// The process, for code that was made at run time; else 0.
    pub(crate) pid: u32,
}

/// The mappings of all processes.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    files: Vec<String>,
    numbers: FxHashMap<String, u32>,
    processes: FxHashMap<u32, BTreeMap<u64, Mapping>>,
}

/// Code of no file.
const ANONYMOUS: &str = "[anon]";

impl Maps {
    /// The files, by number.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// Reads what a process has mapped already.
    pub(crate) fn read(&mut self, pid: u32) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in text.lines() {
            if let Some((start, end, offset, name)) = code_of(line) {
                self.map(pid, start, end - start, offset, name);
            }
        }
    }

    /// Something was mapped, over whatever was there.
    pub(crate) fn map(&mut self, pid: u32, start: u64, length: u64, offset: u64, name: &str) {
        let file = self.number(name);
        if self.processes.len() >= PROCESSES_MAX && !self.processes.contains_key(&pid) {
            return;
        }
        let mappings = self.processes.entry(pid).or_default();
        let end = start.saturating_add(length);
        let covered: Vec<u64> = mappings
            .range(..end)
            .rev()
            .take_while(|(_, mapping)| mapping.end > start)
            .map(|(start, _)| *start)
            .collect();
        for start in covered {
            mappings.remove(&start);
        }
        if mappings.len() < MAPPINGS_MAX {
            mappings.insert(start, Mapping { end, offset, file });
        }
    }

    /// A process was made: it has what its parent has.
    pub(crate) fn fork(&mut self, pid: u32, parent: u32) {
        if pid == parent || self.processes.len() >= PROCESSES_MAX {
            return;
        }
        if let Some(mappings) = self.processes.get(&parent).cloned() {
            self.processes.insert(pid, mappings);
        }
    }

    /// Where an address of a process lies.
    pub(crate) fn place(&self, pid: u32, address: u64) -> Option<Place> {
        let mappings = self.processes.get(&pid)?;
        let (start, mapping) = mappings.range(..=address).next_back()?;
        if address >= mapping.end {
            return None;
        }
        let has_file = self.files[mapping.file as usize].starts_with('/');
        Some(Place {
            file: mapping.file,
            offset: if has_file {
                address - start + mapping.offset
            } else {
                address
            },
            pid: if has_file { 0 } else { pid },
        })
    }

    fn number(&mut self, name: &str) -> u32 {
        // The kernel says //anon of what has no file.
        let name = if name.is_empty() || name.starts_with("//") {
            ANONYMOUS
        } else {
            name
        };
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.files.len() as u32;
        self.files.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// A line of `/proc/PID/maps`, if it is of code: start, end, offset, name.
fn code_of(line: &str) -> Option<(u64, u64, u64, &str)> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()?.contains('x');
    let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let name = fields.nth(2).unwrap_or("").trim();
    let number = |text| u64::from_str_radix(text, 16).ok();
    is_code.then_some((number(start)?, number(end)?, offset, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_the_file_that_was_mapped_last() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x1000, 0x400, "/bin/a");
        maps.fork(2, 1);
        maps.map(1, 0x1000, 0x2000, 0, "/bin/b");
        let at = |maps: &Maps, pid, address| {
            maps.place(pid, address)
                .map(|place| (maps.files()[place.file as usize].clone(), place.offset))
        };
        assert_eq!(at(&maps, 1, 0x1010), Some(("/bin/b".to_owned(), 0x10)));
        assert_eq!(at(&maps, 2, 0x1010), Some(("/bin/a".to_owned(), 0x410)));
        assert_eq!(at(&maps, 2, 0x2000), None);
        assert_eq!(at(&maps, 3, 0x1010), None);
    }

    #[test]
    fn lines_of_the_kernel_are_read_if_they_are_of_code() {
        let line = "7f00-8f00 r-xp 00001000 fe:00 123                   /usr/lib/a b.so";
        assert_eq!(
            code_of(line),
            Some((0x7f00, 0x8f00, 0x1000, "/usr/lib/a b.so"))
        );
        assert_eq!(
            code_of("7f00-8f00 rw-p 00001000 fe:00 123 /usr/lib/x.so"),
            None
        );
        assert_eq!(
            code_of("7f00-8f00 r-xp 00000000 00:00 0 "),
            Some((0x7f00, 0x8f00, 0, ""))
        );
        assert_eq!(code_of("nonsense"), None);
    }
}
