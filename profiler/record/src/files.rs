//! The files that code came from, held open from its first sample on: their names are those of what
//! ran, even if the file is replaced or deleted, or lies in a container.

use crate::maps::{File, Kind};
use rustc_hash::FxHashMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// Files that are held open; later ones are looked for when the recording is over.
const HELD_MAX: usize = 512;

/// Files, or why there is none, by number.
#[derive(Debug, Default)]
pub(crate) struct Files(FxHashMap<u32, Result<fs::File, String>>);

impl Files {
    /// The file, opened if it was not.
    pub(crate) fn open(&mut self, number: u32, file: &File) -> Result<&fs::File, &str> {
        if self.0.len() >= HELD_MAX && !self.0.contains_key(&number) {
            return Err("too many files are held open already");
        }
        let entry = self.0.entry(number).or_insert_with(|| find(file));
        match entry {
            Ok(file) => Ok(file),
            Err(why) => Err(why),
        }
    }

    /// Where its names can be read: its path where that still leads to it, for what lies beside it.
    pub(crate) fn path(&mut self, number: u32, file: &File) -> Result<String, String> {
        if !self.0.contains_key(&number) && self.0.len() >= HELD_MAX {
            return find(file).map(|_| file.id.name.clone());
        }
        let name = &file.id.name;
        let held = self.open(number, file).map_err(str::to_owned)?;
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (fs::metadata(name), held.metadata()) {
            (Ok(now), Ok(then)) if same(&now, &then) => Ok(name.clone()),
            _ => Ok(format!("/proc/self/fd/{}", held.as_raw_fd())),
        }
    }
}

/// The very file that was mapped, by one of the ways that lead to it.
fn find(file: &File) -> Result<fs::File, String> {
    match file.kind {
        Kind::File => {}
        Kind::Vdso => return vdso().map_err(|error| format!("it can't be copied: {error}")),
        Kind::Made => return Err("it is no file".to_owned()),
    }
    let (pid, start, end) = file.seen;
    let name = &file.id.name;
    let ways = [
        // As the process sees it, which may be in a container.
        format!("/proc/{pid}/root{name}"),
        // Deleted or replaced, but still mapped: for those who may look.
        format!("/proc/{pid}/map_files/{start:x}-{end:x}"),
        format!("/proc/{pid}/exe"),
        // The process has ended.
        name.clone(),
    ];
    let mut replaced = false;
    let mut refused = None;
    for way in ways {
        // Nothing but a regular file is opened: others may wait for ever, or act.
        let found = fs::metadata(&way).and_then(|found| {
            if !found.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            // Device numbers differ between the two on some file systems; that of the file does not.
            if file.id.inode != 0 && found.ino() != file.id.inode {
                replaced = true;
                return Err(io::ErrorKind::NotFound.into());
            }
            fs::File::open(&way)
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
        (_, Some(error)) => format!("it can't be read: {error}"),
        (true, None) => "it was replaced by another".to_owned(),
        (false, None) => "it was deleted, or lies in a container that has ended".to_owned(),
    })
}

/// The kernel's own code, which every process has, as a file.
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
    // SAFETY: the name is a text that ends with a zero byte.
    let fd = unsafe { libc::memfd_create(c"vdso".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
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
            kind: Kind::File,
            // No process has this number.
            seen: (u32::MAX, 0x1000, 0x2000),
        }
    }

    #[test]
    fn a_file_that_is_replaced_while_it_is_held_is_still_the_one_that_ran() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        fs::write(&path, "old").expect("written");
        let inode = fs::metadata(&path).expect("it is there").ino();
        let name = path.to_str().expect("a plain name");
        let file = mapped(name, inode);
        let mut files = Files::default();
        files.open(0, &file).expect("it is found");
        assert_eq!(files.path(0, &file).as_deref(), Ok(name));
        fs::write(folder.path().join("new"), "new").expect("written");
        fs::rename(folder.path().join("new"), &path).expect("replaced");
        let mut text = String::new();
        let path = files.path(0, &file).expect("it is held");
        let mut reader = fs::File::open(path).expect("it can be read");
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "old");
        // Too late for one who did not hold it: no names rather than wrong ones.
        let why = Files::default().path(0, &file).expect_err("it is gone");
        assert_eq!(why, "it was replaced by another");
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let why = find(&mapped("/dev/null", 0)).expect_err("it is a device");
        assert!(why.contains("deleted"), "{why}");
    }

    #[test]
    fn a_file_is_found_as_the_process_sees_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().join("file");
        let script = "mount -t tmpfs none \"$0\" && echo inside > \"$0/file\" && read line";
        let mut process = std::process::Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(folder.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("unshare can be run");
        let name = name.to_str().expect("a plain name");
        let seen = format!("/proc/{}/root{name}", process.id());
        let inode = loop {
            match fs::metadata(&seen) {
                // The shell writes after it has made it.
                Ok(found) if found.len() > 0 => break found.ino(),
                _ => {}
            }
            // Where namespaces can't be made there is nothing to show.
            if process.try_wait().expect("it can be waited for").is_some() {
                return;
            }
        };
        let file = File {
            seen: (process.id(), 0x1000, 0x2000),
            ..mapped(name, inode)
        };
        let mut text = String::new();
        let found = find(&file).map(|mut found| found.read_to_string(&mut text));
        drop(process.stdin.take());
        process.wait().expect("it ends");
        assert!(found.is_ok(), "{found:?}");
        assert_eq!(text, "inside\n");
    }
}
