//! One cgroup.

use crate::error::{Error, at};
use crate::mounts::Version;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Searches for processes of a cgroup of version 1, at most; each kills what the last one left.
const KILLS_MAX: u32 = 50;
/// The longest name.
const NAME_BYTES_MAX: usize = 128;

/// A cgroup. It can be stored and used by another process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cgroup {
    version: Version,
    /// Its folder in each hierarchy; one for version 2.
    folders: Vec<PathBuf>,
}

impl Cgroup {
    pub(crate) const fn of(version: Version, folders: Vec<PathBuf>) -> Self {
        Self { version, folders }
    }

    /// The version of the interface.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Its folders.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// A file of it, if one of its controllers has it.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let mut paths = self.folders.iter().map(|folder| folder.join(name));
        paths.find(|path| path.exists())
    }

    /// The files to which a process writes its number, or `0` for itself, to join. A child can do this between fork
    /// and exec, so that nothing of it runs outside.
    pub fn join_files(&self) -> impl Iterator<Item = PathBuf> {
        self.folders
            .iter()
            .map(|folder| folder.join("cgroup.procs"))
    }

    /// Lets a command join it before its program starts, so that nothing of it runs outside.
    pub fn enter(&self, command: &mut Command) -> Result<(), Error> {
        let mut paths = Vec::new();
        for path in self.join_files() {
            let text = CString::new(path.as_os_str().as_bytes());
            paths.push(text.map_err(|error| at(&path)(error.into()))?);
        }
        join_before_exec(command, paths);
        Ok(())
    }

    /// Moves a process to it. Processes that it starts later belong to it too.
    pub fn add(&self, pid: u32) -> Result<(), Error> {
        for path in self.join_files() {
            fs::write(&path, pid.to_string()).map_err(at(&path))?;
        }
        Ok(())
    }

    /// Its processes, without those of cgroups below it.
    pub fn processes(&self) -> Result<BTreeSet<u32>, Error> {
        let mut all = BTreeSet::new();
        for folder in &self.folders {
            all.extend(pids(folder)?);
        }
        Ok(all)
    }

    /// Kills all of its processes, and those of cgroups below it.
    pub fn kill(&self) -> Result<(), Error> {
        if self.version == Version::V2
            && let Some(path) = self.file("cgroup.kill")
        {
            return fs::write(&path, "1").map_err(at(&path));
        }
        // A process with a pending SIGKILL cannot fork, so one that was signalled needs no other look. It may take a while
        // to end on a loaded machine.
        let mut signalled = BTreeSet::new();
        let mut alive = 0;
        for _ in 0..KILLS_MAX {
            let mut found = BTreeSet::new();
            for folder in &self.folders {
                below(folder, &mut |folder| {
                    found.extend(pids(folder)?);
                    Ok(())
                })?;
            }
            found.retain(|pid| !signalled.contains(pid));
            alive = found.iter().filter(|pid| kill(**pid)).count();
            if alive == 0 {
                return Ok(());
            }
            signalled.extend(found);
        }
        Err(Error::Alive {
            path: self.folders.first().cloned().unwrap_or_default(),
            count: alive,
        })
    }

    /// Removes it, with the cgroups below it, if it has no processes. One that does not exist is removed. Processes that
    /// were killed a moment ago may still be there; then the error is `Busy` of the system, and a later attempt succeeds.
    pub fn remove(&self) -> Result<(), Error> {
        for folder in &self.folders {
            remove(folder)?;
        }
        Ok(())
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.folders.iter().any(|folder| folder.exists())
    }
}

/// Writes `0`, the process itself, to files between fork and exec.
fn join_before_exec(command: &mut Command, paths: Vec<CString>) {
    let join = move || {
        for path in &paths {
            // SAFETY: open, write and close may be called between fork and exec; the strings were made before and
            // end with a zero byte.
            unsafe {
                let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if file < 0 || libc::write(file, c"0".as_ptr().cast(), 1) < 0 {
                    return Err(io::Error::last_os_error());
                }
                libc::close(file);
            }
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls and reads memory that was allocated before.
    unsafe { command.pre_exec(join) };
}

/// The name of a cgroup becomes part of a path.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    let is_valid = name.len() <= NAME_BYTES_MAX
        && name.bytes().all(is_allowed)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if is_valid {
        return Ok(());
    }
    Err(Error::Name {
        name: name.chars().take(NAME_BYTES_MAX).collect(),
    })
}

/// Calls a function for the cgroups below a folder, innermost first, and for the folder.
fn below(folder: &Path, call: &mut dyn FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(at(folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), call)?;
        }
    }
    call(folder)
}

pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    below(folder, &mut |folder| match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    })
}

/// The processes of a folder; none if it does not exist.
pub(crate) fn pids(folder: &Path) -> Result<Vec<u32>, Error> {
    let path = folder.join("cgroup.procs");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ENODEV) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(at(&path)(error)),
    }
}

/// Kills a process; false if it is dead already. 0 is a process of another namespace.
fn kill(pid: u32) -> bool {
    let is_dead = fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        matches!(state, Some('Z' | 'X') | None)
    });
    if pid == 0 || is_dead {
        return false;
    }
    // SAFETY: kill has no memory effects. The process was in the cgroup just now; numbers are not reused that fast.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) == 0 }
}
