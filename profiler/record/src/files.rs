//! The files of the sampled code, held open from the first sample on. So symbols come from the code
//! that ran, even if the file is replaced or deleted, or is in a container.

use crate::maps::{File, MappingKind};
use rustc_hash::FxHashMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// Files that are held open; further ones are opened when the recording ends.
const HELD_MAX: usize = 512;

/// Other processes in whose mount namespaces a file is searched.
const OTHERS_MAX: usize = 8;

/// The files of a recording.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Open files, or why they could not be opened, by index.
    held: FxHashMap<u32, Result<fs::File, String>>,
    /// Running processes that may see the same files as one that has ended.
    others: Vec<u32>,
}

impl Files {
    /// Sets the running processes of the recorded cgroup.
    pub(crate) fn set_others(&mut self, pids: &[u32]) {
        self.others.clear();
        self.others.extend(pids.iter().take(OTHERS_MAX));
    }

    /// Returns a file, and opens it if necessary.
    pub(crate) fn open(&mut self, index: u32, file: &File) -> Result<&fs::File, &str> {
        if self.held.len() >= HELD_MAX && !self.held.contains_key(&index) {
            return Err("too many open files");
        }
        let Self { held, others } = self;
        match held.entry(index).or_insert_with(|| find(file, others)) {
            Ok(file) => Ok(file),
            Err(why) => Err(why),
        }
    }

    /// A path to read symbols from: the file's own if it is unchanged, so that debug files beside it
    /// are found, otherwise that of the open descriptor.
    pub(crate) fn path(&mut self, index: u32, file: &File) -> Result<String, String> {
        if !self.held.contains_key(&index) && self.held.len() >= HELD_MAX {
            return find(file, &self.others).map(|_| file.id.name.clone());
        }
        let name = &file.id.name;
        let held = self.open(index, file).map_err(str::to_owned)?;
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (fs::metadata(name), held.metadata()) {
            (Ok(now), Ok(then)) if same(&now, &then) => Ok(name.clone()),
            _ => Ok(format!("/proc/self/fd/{}", held.as_raw_fd())),
        }
    }
}

/// Opens the file that was mapped, by the first path that leads to it.
fn find(file: &File, others: &[u32]) -> Result<fs::File, String> {
    match file.kind {
        MappingKind::File => {}
        MappingKind::Vdso => return vdso().map_err(|error| format!("cannot copy it: {error}")),
        MappingKind::Jit => return Err("not a file".to_owned()),
    }
    let (pid, start, end) = file.mapped_at;
    let name = &file.id.name;
    let own = [
        // In the process's mount namespace, which may be a container's.
        format!("/proc/{pid}/root{name}"),
        // Deleted or replaced, but still mapped; needs privileges.
        format!("/proc/{pid}/map_files/{start:x}-{end:x}"),
        format!("/proc/{pid}/exe"),
        // In our own namespace, if the process has exited.
        name.clone(),
    ];
    // In the mount namespace of another process of the container.
    let others = others.iter().map(|pid| format!("/proc/{pid}/root{name}"));
    let mut replaced = false;
    let mut refused = None;
    for path in own.into_iter().chain(others) {
        // Opens regular files only: opening a pipe may block, and opening a device may have side effects.
        let found = fs::metadata(&path).and_then(|found| {
            if !found.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            // Compares inodes only: on some file systems the kernel reports another device number.
            if file.id.inode != 0 && found.ino() != file.id.inode {
                replaced = true;
                return Err(io::ErrorKind::NotFound.into());
            }
            fs::File::open(&path)
        });
        match found {
            Ok(found) => return Ok(found),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => {}
                _ => refused = Some(error),
            },
        }
    }
    Err(match (replaced, refused) {
        (_, Some(error)) => format!("cannot open: {error}"),
        (true, None) => "replaced by another file".to_owned(),
        (false, None) => "deleted, or in a container that has exited".to_owned(),
    })
}

/// Copies the vDSO into a file.
fn vdso() -> io::Result<fs::File> {
    let none = || io::Error::from(io::ErrorKind::NotFound);
    let maps = fs::read_to_string("/proc/self/maps")?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split(' ').next()?.split_once('-'));
    let (start, end) = range.ok_or_else(none)?;
    let number = |text| u64::from_str_radix(text, 16).map_err(|_| none());
    let (start, end) = (number(start)?, number(end)?);
    let mut bytes = vec![0; end.saturating_sub(start) as usize];
    fs::File::open("/proc/self/mem")?.read_exact_at(&mut bytes, start)?;
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"vdso".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor; nothing else owns it.
    let file = fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all_at(&bytes, 0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::FileId;
    use std::io::Read as _;

    fn mapped(name: &str, inode: u64) -> File {
        File {
            id: FileId {
                name: name.to_owned(),
                inode,
                device: (0, 0),
            },
            kind: MappingKind::File,
            // No process has this pid.
            mapped_at: (u32::MAX, 0x1000, 0x2000),
        }
    }

    #[test]
    fn replaced_file_is_read_through_its_open_descriptor() {
        let folder = tempfile::tempdir().expect("create a folder");
        let path = folder.path().join("program");
        fs::write(&path, "old").expect("write a file");
        let inode = fs::metadata(&path).expect("read metadata").ino();
        let name = path.to_str().expect("a UTF-8 path");
        let file = mapped(name, inode);
        let mut files = Files::default();
        files.open(0, &file).expect("open the file");
        assert_eq!(files.path(0, &file).as_deref(), Ok(name));
        fs::write(folder.path().join("new"), "new").expect("write a file");
        fs::rename(folder.path().join("new"), &path).expect("replace the file");
        let mut text = String::new();
        let path = files.path(0, &file).expect("the file is open");
        let mut reader = fs::File::open(path).expect("open the descriptor's path");
        reader.read_to_string(&mut text).expect("read the file");
        assert_eq!(text, "old");
        // Opened too late: no symbols rather than wrong ones.
        let reason = Files::default().path(0, &file).expect_err("replaced");
        assert_eq!(reason, "replaced by another file");
    }

    #[test]
    fn special_files_are_not_opened() {
        let reason = find(&mapped("/dev/null", 0), &[]).expect_err("a device");
        assert!(reason.contains("deleted"), "{reason}");
    }

    #[test]
    fn file_is_opened_in_the_mount_namespace_of_its_process() {
        let folder = tempfile::tempdir().expect("create a folder");
        let name = folder.path().join("file");
        let script = "mount -t tmpfs none \"$0\" && echo inside > \"$0/file\" && read line";
        let mut process = std::process::Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(folder.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("run unshare");
        let name = name.to_str().expect("a UTF-8 path");
        let path = format!("/proc/{}/root{name}", process.id());
        let inode = loop {
            match fs::metadata(&path) {
                // The shell creates the file before it writes to it.
                Ok(found) if found.len() > 0 => break found.ino(),
                _ => {}
            }
            if process.try_wait().expect("wait for unshare").is_some() {
                davy_test_support::skip("mount namespaces cannot be created");
                return;
            }
        };
        let file = File {
            mapped_at: (process.id(), 0x1000, 0x2000),
            ..mapped(name, inode)
        };
        let mut text = String::new();
        let found = find(&file, &[]).map(|mut found| found.read_to_string(&mut text));
        // The process that mapped it has ended; another one of the container has not.
        let ended = File {
            mapped_at: (u32::MAX, 0x1000, 0x2000),
            ..file
        };
        let by_another = find(&ended, &[process.id()]);
        drop(process.stdin.take());
        process.wait().expect("wait for unshare");
        assert!(found.is_ok(), "{found:?}");
        assert!(by_another.is_ok(), "{by_another:?}");
        assert_eq!(text, "inside\n");
    }
}
