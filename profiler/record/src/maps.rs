//! The code mappings of each recorded process.

use crate::parse::FileId;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Processes whose mappings are kept; the addresses of others are not resolved.
const PROCESSES_MAX: usize = 16_384;
/// Mappings kept of one process.
const MAPPINGS_MAX: usize = 65_536;

/// A mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    end: u64,
    offset: u64,
    file: u32,
}

/// A location in code, independent of where it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeLocation {
    /// Index into [`Maps::files`].
    pub(crate) file: u32,
    /// Offset in the file; the address for code without a file.
    pub(crate) offset: u64,
    /// The process, for code generated at run time; otherwise 0.
    pub(crate) pid: u32,
}

/// Where code comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MappingKind {
    /// A file.
    File,
    /// The kernel's vDSO, which every process has.
    Vdso,
    /// No file: generated at run time.
    Jit,
}

/// A file, or other code, that was mapped.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: FileId,
    pub(crate) kind: MappingKind,
    /// Pid, start and end of one of its mappings: `/proc/PID/map_files/START-END` opens the file after its
    /// path was deleted or replaced.
    pub(crate) mapped_at: (u32, u64, u64),
}

/// The mappings of all processes.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    files: Vec<File>,
    indices: FxHashMap<FileId, u32>,
    processes: FxHashMap<u32, BTreeMap<u64, Mapping>>,
}

/// Name of code without a file.
const ANONYMOUS: &str = "[anon]";
/// The suffix that the kernel adds to the path of a deleted file.
const DELETED: &str = " (deleted)";

impl Maps {
    /// The files, by index.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// Whether mappings of a process are known.
    pub(crate) fn has(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Reads the current mappings of a process.
    pub(crate) fn read(&mut self, pid: u32) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in text.lines() {
            if let Some((start, end, offset, file)) = code_of(line) {
                self.map(pid, start, end - start, offset, file);
            }
        }
    }

    /// Adds a mapping, which replaces those that it overlaps.
    pub(crate) fn map(&mut self, pid: u32, start: u64, length: u64, offset: u64, file: FileId) {
        let end = start.saturating_add(length);
        let file = self.index_of(file, (pid, start, end));
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

    /// Adds a process, with the mappings of its parent.
    pub(crate) fn fork(&mut self, pid: u32, parent: u32) {
        if pid == parent || self.processes.len() >= PROCESSES_MAX {
            return;
        }
        if let Some(mappings) = self.processes.get(&parent).cloned() {
            self.processes.insert(pid, mappings);
        }
    }

    /// Forgets the mappings of a process that executed another program.
    pub(crate) fn exec(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    /// Resolves an address of a process.
    pub(crate) fn resolve(&self, pid: u32, address: u64) -> Option<CodeLocation> {
        let mappings = self.processes.get(&pid)?;
        let (start, mapping) = mappings.range(..=address).next_back()?;
        if address >= mapping.end {
            return None;
        }
        let is_jit = self.files[mapping.file as usize].kind == MappingKind::Jit;
        Some(CodeLocation {
            file: mapping.file,
            offset: if is_jit {
                address
            } else {
                address - start + mapping.offset
            },
            pid: if is_jit { pid } else { 0 },
        })
    }

    fn index_of(&mut self, file: FileId, mapped_at: (u32, u64, u64)) -> u32 {
        let (file, kind) = classify(file);
        if let Some(index) = self.indices.get(&file) {
            return *index;
        }
        let index = self.files.len() as u32;
        self.indices.insert(file.clone(), index);
        self.files.push(File {
            id: file,
            kind,
            mapped_at,
        });
        index
    }
}

/// Normalizes a file's id, so that equal files have equal ids, and returns its kind.
fn classify(mut file: FileId) -> (FileId, MappingKind) {
    let without = |name: &str| FileId {
        name: name.to_owned(),
        ..FileId::default()
    };
    if file.name == "[vdso]" {
        return (without("[vdso]"), MappingKind::Vdso);
    }
    if file.name.starts_with('[') && !file.name.starts_with("[anon:") {
        return (without(&file.name), MappingKind::Jit);
    }
    // `//anon` is anonymous memory; the others are files that never had a path.
    let nameless = ["//", "/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage"];
    let has_file =
        file.name.starts_with('/') && !nameless.iter().any(|start| file.name.starts_with(start));
    if !has_file {
        return (without(ANONYMOUS), MappingKind::Jit);
    }
    if let Some(name) = file.name.strip_suffix(DELETED) {
        file.name = name.to_owned();
    }
    (file, MappingKind::File)
}

/// Parses a line of `/proc/PID/maps`: start, end, offset and file of a code mapping.
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
        let location = maps.resolve(pid, address)?;
        Some((
            maps.files()[location.file as usize].id.name.clone(),
            location.offset,
        ))
    }

    #[test]
    fn addresses_resolve_to_the_latest_mapping() {
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
    fn files_of_equal_path_are_distinct_and_anonymous_code_is_one_file() {
        let mut maps = Maps::default();
        maps.map(1, 0x1000, 0x1000, 0, file("/lib/x.so", 1));
        maps.map(1, 0x2000, 0x1000, 0, file("/lib/x.so", 2));
        maps.map(1, 0x3000, 0x1000, 0, file("/lib/x.so (deleted)", 2));
        maps.map(1, 0x4000, 0x1000, 0, file("//anon", 0));
        maps.map(1, 0x5000, 0x1000, 0, file("[anon:v8]", 0));
        maps.map(1, 0x6000, 0x1000, 0, file("/memfd:jit (deleted)", 9));
        let number = |address| maps.resolve(1, address).map(|location| location.file);
        assert_ne!(number(0x1000), number(0x2000));
        assert_eq!(number(0x2000), number(0x3000));
        assert_eq!(number(0x4000), number(0x5000));
        assert_eq!(number(0x4000), number(0x6000));
        // Code generated at run time keeps its address and its process.
        let jit = maps.resolve(1, 0x6010).expect("the address is mapped");
        assert_eq!((jit.offset, jit.pid), (0x6010, 1));
    }

    #[test]
    fn proc_maps_lines_of_code_are_parsed() {
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
