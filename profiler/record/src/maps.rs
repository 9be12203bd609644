//! What is mapped where in each process that is recorded.

use crate::parse::FileId;
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

/// What kind of code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a file.
    File,
    /// What the kernel gives to every process.
    Vdso,
    /// Of no file: made at run time.
    Made,
}

/// Something that was mapped.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: FileId,
    pub(crate) kind: Kind,
    /// A process that has it, and where: a way to it when its name leads elsewhere.
    pub(crate) seen: (u32, u64, u64),
}

/// The mappings of all processes.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    files: Vec<File>,
    numbers: FxHashMap<FileId, u32>,
    processes: FxHashMap<u32, BTreeMap<u64, Mapping>>,
}

/// Code of no file.
const ANONYMOUS: &str = "[anon]";
/// How the kernel ends the name of a file that has none any more.
const DELETED: &str = " (deleted)";

impl Maps {
    /// The files, by number.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// Reads what a process has mapped already.
    pub(crate) fn read(&mut self, pid: u32) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in text.lines() {
            if let Some((start, end, offset, file)) = code_of(line) {
                self.map(pid, start, end - start, offset, file);
            }
        }
    }

    /// Something was mapped, over whatever was there.
    pub(crate) fn map(&mut self, pid: u32, start: u64, length: u64, offset: u64, file: FileId) {
        let end = start.saturating_add(length);
        let file = self.number(file, (pid, start, end));
        if self.processes.len() >= PROCESSES_MAX && !self.processes.contains_key(&pid) {
            return;
        }
        let mappings = self.processes.entry(pid).or_default();
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

    /// A process became another program: what it had is gone.
    pub(crate) fn exec(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    /// Where an address of a process lies.
    pub(crate) fn place(&self, pid: u32, address: u64) -> Option<Place> {
        let mappings = self.processes.get(&pid)?;
        let (start, mapping) = mappings.range(..=address).next_back()?;
        if address >= mapping.end {
            return None;
        }
        let is_made = self.files[mapping.file as usize].kind == Kind::Made;
        Some(Place {
            file: mapping.file,
            offset: if is_made {
                address
            } else {
                address - start + mapping.offset
            },
            pid: if is_made { pid } else { 0 },
        })
    }

    fn number(&mut self, file: FileId, seen: (u32, u64, u64)) -> u32 {
        let (file, kind) = told_apart(file);
        if let Some(number) = self.numbers.get(&file) {
            return *number;
        }
        let number = self.files.len() as u32;
        self.numbers.insert(file.clone(), number);
        self.files.push(File {
            id: file,
            kind,
            seen,
        });
        number
    }
}

/// What the kernel says of a mapping, so that the same is the same: the kind, and the name as it was.
fn told_apart(mut file: FileId) -> (FileId, Kind) {
    let without = |name: &str| FileId {
        name: name.to_owned(),
        ..FileId::default()
    };
    if file.name == "[vdso]" {
        return (without("[vdso]"), Kind::Vdso);
    }
    if file.name.starts_with('[') && !file.name.starts_with("[anon:") {
        return (without(&file.name), Kind::Made);
    }
    // The kernel says //anon of what has no file; the rest are files that never had a name.
    let nameless = ["//", "/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage"];
    let has_file =
        file.name.starts_with('/') && !nameless.iter().any(|start| file.name.starts_with(start));
    if !has_file {
        return (without(ANONYMOUS), Kind::Made);
    }
    if let Some(name) = file.name.strip_suffix(DELETED) {
        file.name = name.to_owned();
    }
    (file, Kind::File)
}

/// A line of `/proc/PID/maps`, if it is of code: start, end, offset, file.
fn code_of(line: &str) -> Option<(u64, u64, u64, FileId)> {
    let mut fields = line.splitn(6, ' ');
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let is_code = fields.next()?.contains('x');
    let offset = number(fields.next()?)?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let device = (number(major)? as u32, number(minor)? as u32);
    let inode = fields.next()?.parse().ok()?;
    let name = fields.next().unwrap_or("").trim().to_owned();
    let file = FileId {
        name,
        inode,
        device,
    };
    (is_code && start < end).then_some((start, end, offset, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, inode: u64) -> FileId {
        FileId {
            name: name.to_owned(),
            inode,
            device: (0xfe, 0),
        }
    }

    fn at(maps: &Maps, pid: u32, address: u64) -> Option<(String, u64)> {
        let place = maps.place(pid, address)?;
        Some((
            maps.files()[place.file as usize].id.name.clone(),
            place.offset,
        ))
    }

    #[test]
    fn an_address_is_found_in_the_file_that_was_mapped_last() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x1000, 0x400, file("/bin/a", 1));
        maps.fork(2, 1);
        maps.map(1, 0x1000, 0x2000, 0, file("/bin/b", 2));
        assert_eq!(at(&maps, 1, 0x1010), Some(("/bin/b".to_owned(), 0x10)));
        assert_eq!(at(&maps, 2, 0x1010), Some(("/bin/a".to_owned(), 0x410)));
        assert_eq!(at(&maps, 2, 0x2000), None);
        assert_eq!(at(&maps, 3, 0x1010), None);
        maps.exec(2);
        assert_eq!(at(&maps, 2, 0x1010), None);
    }

    #[test]
    fn files_of_one_name_are_told_apart_and_nameless_ones_are_not() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x1000, 0, file("/lib/x.so", 1));
        maps.map(1, 0x2000, 0x1000, 0, file("/lib/x.so", 2));
        maps.map(1, 0x3000, 0x1000, 0, file("/lib/x.so (deleted)", 2));
        maps.map(1, 0x4000, 0x1000, 0, file("//anon", 0));
        maps.map(1, 0x5000, 0x1000, 0, file("[anon:v8]", 0));
        maps.map(1, 0x6000, 0x1000, 0, file("/memfd:jit (deleted)", 9));
        let number = |address| maps.place(1, address).map(|place| place.file);
        assert_ne!(number(0x1000), number(0x2000));
        assert_eq!(number(0x2000), number(0x3000));
        assert_eq!(number(0x4000), number(0x5000));
        assert_eq!(number(0x4000), number(0x6000));
        // What was made at run time keeps its address and its process.
        let made = maps.place(1, 0x6010).expect("it is mapped");
        assert_eq!((made.offset, made.pid), (0x6010, 1));
    }

    #[test]
    fn lines_of_the_kernel_are_read_if_they_are_of_code() {
        let line = "7f00-8f00 r-xp 00001000 fe:00 123                   /usr/lib/a b.so";
        assert_eq!(
            code_of(line),
            Some((0x7f00, 0x8f00, 0x1000, file("/usr/lib/a b.so", 123)))
        );
        assert_eq!(
            code_of("7f00-8f00 rw-p 00001000 fe:00 123 /usr/lib/x.so"),
            None
        );
        assert_eq!(
            code_of("7f00-8f00 r-xp 00000000 00:00 0 "),
            Some((0x7f00, 0x8f00, 0, FileId::default()))
        );
        assert_eq!(code_of("8f00-7f00 r-xp 00000000 00:00 0 "), None);
        assert_eq!(code_of("nonsense"), None);
    }
}
