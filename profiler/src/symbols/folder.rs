//! Symbol indices on disk.
//!
//! A folder has one file for each build, which is written once and never changed, so it can be mapped into memory.
//! Processes may share the folder: the first one builds an index, and the others wait for it.

use crate::mapped::Mapped;
use crate::modules::Module;
use davy_profile::symbol_index::SymbolIndex;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The end of the name of a file with an index.
pub(super) const EXTENSION: &str = ".symbols";
/// The same while it is being written.
const BUILDING: &str = ".building";
/// Maximum size of all indices in bytes; past it, those that have not been used for the longest time are deleted.
const BYTES_MAX: u64 = 512 << 20;

/// Bytes of an index that a reader of all of it holds.
const PASS_BYTES: usize = 256 << 10;

/// The bytes of an index.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mapped),
    Memory(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Reads all bytes, and holds no more than a few of a file in memory meanwhile.
    pub(crate) fn reader(&self) -> impl BufRead + '_ {
        let source = PassingReader { bytes: self, at: 0 };
        io::BufReader::with_capacity(PASS_BYTES, source)
    }

    /// Gives back the memory of what was read of a file.
    pub(crate) fn release_pages(&self) {
        if let Self::Mapped(map) = self {
            map.release_pages();
        }
    }
}

/// Reads the bytes once, and gives back the memory of those that were read.
struct PassingReader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Read for PassingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = &self.bytes.as_ref()[self.at..];
        let read = left.read(buffer)?;
        self.at += read;
        self.bytes.release_pages();
        Ok(read)
    }
}

/// An index, and where its bytes are.
pub(crate) type Index = SymbolIndex<Bytes>;

/// Why there is no index.
#[derive(Debug)]
pub(super) struct OpenError {
    pub(super) source: io::Error,
    /// Whether the folder is the reason, not the file to index.
    pub(super) is_of_folder: bool,
}

/// The folder of a user's symbol indices: `symbols` in the cache folder that systemd provides, or `davy/symbols` in
/// that of the user.
pub(super) fn default_path() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd separates several folders by colons.
    if let Some(folders) = variable("CACHE_DIRECTORY") {
        let folders = folders.to_string_lossy().into_owned();
        let first = folders.split(':').next().unwrap_or_default();
        return Some(Path::new(first).join("symbols"));
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(Path::new(&variable("HOME")?).join(".cache"));
    let cache = cache.or_else(home)?;
    cache.is_absolute().then(|| cache.join("davy/symbols"))
}

pub(super) fn parse(bytes: Bytes) -> io::Result<Index> {
    SymbolIndex::open(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Opens the index of a build.
pub(super) fn open(path: &Path, build_id: &str) -> io::Result<Index> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // SAFETY: the call has no preconditions.
    let user = unsafe { libc::geteuid() };
    // Another user's file may be truncated while it is mapped, which would end this process.
    if ![0, user].contains(&metadata.uid()) || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "other users can write the symbol index",
        ));
    }
    let index = parse(map(&file)?)?;
    if index.build_id() != build_id {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the symbol index is of another build",
        ));
    }
    Ok(index)
}

fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the file is not changed once it has this name, and other users cannot write it.
    let map = unsafe { Mapped::new(file) }?;
    // Lookups are few and far between; reading ahead would fill memory with pages that nobody needs.
    map.expect_random_reads();
    Ok(Bytes::Mapped(map))
}

/// Builds an index that is kept in memory only.
pub(super) fn build_in_memory(build: impl FnOnce(File) -> io::Result<()>) -> io::Result<Index> {
    // SAFETY: the name is a string that ends with a zero byte.
    let descriptor = unsafe { libc::memfd_create(c"davy-symbols".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was created above, and nothing else owns it.
    let file = unsafe { File::from_raw_fd(descriptor) };
    build(file.try_clone()?)?;
    parse(map(&file)?)
}

/// A folder of indices.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the index of a file, if it is there.
    pub(super) fn open(&self, module: &Module) -> Option<Index> {
        let path = self.file(module, EXTENSION).ok()?;
        let index = open(&path, &module.build_id).ok()?;
        touch(&path);
        Some(index)
    }

    fn file(&self, module: &Module, extension: &str) -> io::Result<PathBuf> {
        let mut name = file_name(module)?;
        name.push_str(extension);
        Ok(self.0.join(name))
    }

    /// Opens the index of a file, and builds it if there is none.
    pub(super) fn open_or_build(
        &self,
        module: &Module,
        build: impl FnOnce(File) -> io::Result<()>,
    ) -> Result<Index, OpenError> {
        let of_folder = |source| OpenError {
            source,
            is_of_folder: true,
        };
        let of_file = |source| OpenError {
            source,
            is_of_folder: false,
        };
        if let Some(index) = self.open(module) {
            return Ok(index);
        }
        let path = self.file(module, EXTENSION).map_err(of_file)?;
        let building = self.file(module, BUILDING).map_err(of_file)?;
        let file = match self.lock(&building) {
            Ok(file) => file,
            Err(error) => return Err(of_folder(error)),
        };
        // Another process may have built it meanwhile.
        if let Ok(index) = open(&path, &module.build_id) {
            let _ = std::fs::remove_file(&building);
            return Ok(index);
        }
        let output = file.set_len(0).and_then(|()| file.try_clone());
        build(output.map_err(of_folder)?).map_err(of_file)?;
        file.sync_data()
            .and_then(|()| std::fs::rename(&building, &path))
            .map_err(of_folder)?;
        self.prune(&path);
        open(&path, &module.build_id).map_err(of_folder)
    }

    /// Creates the file for an index and locks it. Waits for a process that is building the same index; a lock ends
    /// with its process.
    fn lock(&self, building: &Path) -> io::Result<File> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        loop {
            let mut options = OpenOptions::new();
            let options = options.create(true).write(true).read(true).truncate(false);
            let file = options.mode(0o600).open(building)?;
            file.lock()?;
            // The process before may have renamed it, and must not find its file changed.
            let own = file.metadata()?;
            let named = std::fs::metadata(building);
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
                return Ok(file);
            }
        }
    }

    /// Deletes the indices that have not been used for the longest time, if there are too many.
    fn prune(&self, keep: &Path) {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return;
        };
        let mut files: Vec<(i64, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                // A process may have been killed while it was building one.
                let name = path.to_str()?;
                let is_index = name.ends_with(EXTENSION) || name.ends_with(BUILDING);
                let is_index = is_index && path != keep;
                let metadata = path.metadata().ok().filter(|_| is_index)?;
                Some((metadata.mtime(), metadata.len(), path))
            })
            .collect();
        files.sort();
        let kept = keep.metadata().map_or(0, |metadata| metadata.len());
        let mut total = kept + files.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, bytes, path) in files {
            if total <= BYTES_MAX {
                break;
            }
            // A process that has mapped it keeps it.
            let _ = std::fs::remove_file(path);
            total -= bytes;
        }
    }
}

/// Notes that a file was used. Fails without consequences if it belongs to another user.
fn touch(path: &Path) {
    if let Ok(file) = File::open(path) {
        // SAFETY: the descriptor is open; without times, the kernel uses the current one.
        unsafe { libc::futimens(file.as_raw_fd(), std::ptr::null()) };
    }
}

/// The name of a file's index: its build id, or, for files without one, where it is and when it was changed.
fn file_name(module: &Module) -> io::Result<String> {
    if !module.build_id.is_empty() {
        return Ok(module.build_id.clone());
    }
    let metadata = module.path.metadata()?;
    Ok(format!(
        "file-{:x}-{:x}-{:x}-{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.mtime_nsec() as u64 ^ ((metadata.mtime() as u64) << 20),
        metadata.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::symbol_index::Builder;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, SystemTime};

    const BUILD: &str = "c0ffee";

    /// This program, as if it had this build id.
    fn module() -> Module {
        let mut modules = crate::loader::list();
        let at = modules.iter().position(|module| module.is_executable);
        let mut module = modules.swap_remove(at.expect("this program"));
        BUILD.clone_into(&mut module.build_id);
        module
    }

    fn build(file: File) -> io::Result<()> {
        Builder::new(BUILD, "server").write(file)
    }

    #[test]
    fn processes_that_need_an_index_at_once_build_it_once() {
        let scratch = tempfile::tempdir().expect("a folder");
        let builds = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = Folder::new(scratch.path().join("symbols"));
                    let index = folder.open_or_build(&module(), |file| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        build(file)
                    });
                    assert_eq!(index.expect("an index").file_name(), "server");
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
        let entries = std::fs::read_dir(scratch.path().join("symbols")).expect("readable");
        let names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["c0ffee.symbols"]);
    }

    #[test]
    fn index_is_read_to_its_end_in_little_memory() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(scratch.path().to_owned());
        let index = folder.open_or_build(&module(), |file| {
            let mut builder = Builder::new(BUILD, "server");
            for number in 0..1 << 16 {
                builder.string(&format!(
                    "a function of some length, the one with the number {number}"
                ));
            }
            builder.write(file)
        });
        let index = index.expect("an index");
        let Bytes::Mapped(mapped) = index.source() else {
            panic!("the index is in memory");
        };
        let (mut copy, mut most) = (Vec::new(), 0);
        let mut reader = index.source().reader();
        loop {
            let read = reader.fill_buf().expect("readable");
            let bytes = read.len();
            if bytes == 0 {
                break;
            }
            copy.extend_from_slice(read);
            reader.consume(bytes);
            most = most.max(mapped.resident_kib());
        }
        assert!(copy == **mapped && copy.len() > 4 * PASS_BYTES);
        assert!(most < 256, "{most} KiB");
    }

    #[test]
    fn index_whose_builder_was_killed_is_built_again() {
        let scratch = tempfile::tempdir().expect("a folder");
        std::fs::write(scratch.path().join("c0ffee.building"), "DAVYSYMS, and").expect("written");
        std::fs::write(scratch.path().join("c0ffee.symbols"), "").expect("written");
        let folder = Folder::new(scratch.path().to_owned());
        let index = folder.open_or_build(&module(), build).expect("an index");
        assert_eq!(index.build_id(), BUILD);
        assert!(!scratch.path().join("c0ffee.building").exists());
    }

    #[test]
    fn index_that_others_can_write_is_not_used() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(scratch.path().to_owned());
        drop(folder.open_or_build(&module(), build).expect("an index"));
        let path = scratch.path().join("c0ffee.symbols");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("changed");
        assert!(folder.open(&module()).is_none());
    }

    #[test]
    fn indices_that_were_not_used_for_the_longest_time_are_deleted_beyond_the_limit() {
        let scratch = tempfile::tempdir().expect("a folder");
        let add = |name: &str, age: u64, bytes: u64| {
            let file = File::create(scratch.path().join(name)).expect("created");
            // A sparse file.
            file.set_len(bytes).expect("a size");
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            file.set_modified(used).expect("a time");
        };
        let half = BYTES_MAX / 2;
        add("new.symbols", 9, half);
        add("killed.building", 8, 1);
        add("old.symbols", 7, half);
        add("other", 6, BYTES_MAX);
        add("used.symbols", 1, half - 1);
        let folder = Folder::new(scratch.path().to_owned());
        folder.prune(&scratch.path().join("new.symbols"));
        let is_there = |name: &str| scratch.path().join(name).exists();
        assert!(is_there("new.symbols") && is_there("used.symbols") && is_there("other"));
        assert!(!is_there("killed.building") && !is_there("old.symbols"));
        // What fits is kept.
        folder.prune(&scratch.path().join("new.symbols"));
        assert!(is_there("used.symbols"));
    }
}
