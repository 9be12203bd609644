//! The driver `process`: a container is a folder and the processes that have its handle in their environment; a
//! volume is a folder. It does not isolate.

use davy_model::{HandleKind, Task, name};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The environment variable with the handle of a container.
const VARIABLE: &str = "DAVY_CONTAINER";
/// Searches for processes of a container, at most; each kills what the last one left.
const KILLS_MAX: u32 = 50;
/// The file in the folder of a container that names its volume.
const VOLUME_FILE: &str = "volume";

/// What a sweeper needs of a driver.
pub(crate) trait Driver: Send + Sync + 'static {
    /// All containers and volumes.
    fn handles(&self) -> io::Result<BTreeMap<String, HandleKind>>;

    /// Destroys a container or volume. One that does not exist is destroyed.
    fn destroy(&self, handle: &str, kind: HandleKind) -> io::Result<()>;

    /// The volume of a container.
    fn volume_of(&self, container: &str) -> Option<String>;

    /// The volume that a volume is a copy of.
    fn parent_of(&self, volume: &str) -> Option<String>;
}

/// Folders and processes below a folder.
#[derive(Debug)]
pub(crate) struct ProcessDriver {
    containers: PathBuf,
    volumes: PathBuf,
}

impl ProcessDriver {
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let driver = Self {
            containers: folder.join("containers"),
            volumes: folder.join("volumes"),
        };
        fs::create_dir_all(&driver.containers)?;
        fs::create_dir_all(&driver.volumes)?;
        Ok(driver)
    }

    /// Creates a container with its volume; returns the folder of the volume. The volume comes first, so that a
    /// container always has one.
    pub(crate) fn create(&self, container: &str, volume: &str) -> io::Result<PathBuf> {
        check(container)?;
        check(volume)?;
        let folder = self.volumes.join(volume);
        fs::create_dir(&folder)?;
        let own = self.containers.join(container);
        fs::create_dir(&own)?;
        fs::write(own.join(VOLUME_FILE), volume)?;
        Ok(folder)
    }

    /// Starts the command of a task in its working directory.
    pub(crate) fn start(container: &str, folder: &Path, task: &Task) -> io::Result<Child> {
        let dir = match &task.run.dir {
            Some(dir) => folder.join(dir),
            None => folder.to_owned(),
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        Command::new(&task.run.path)
            .args(&task.run.args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder)
            .envs(&task.params)
            .env(VARIABLE, container)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    /// Kills all processes of a container.
    pub(crate) fn kill(container: &str) -> io::Result<()> {
        check(container)?;
        let entry = format!("{VARIABLE}={container}");
        for _ in 0..KILLS_MAX {
            let found = processes_with(entry.as_bytes())?;
            if found.is_empty() {
                return Ok(());
            }
            for pid in found {
                // SAFETY: kill has no memory effects. The process was seen with the handle in its environment just
                // now; pids are not reused that fast.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        Err(io::Error::other(
            "processes of the container start faster than they are killed",
        ))
    }
}

/// A handle becomes part of a path.
fn check(handle: &str) -> io::Result<()> {
    name::check("handle", handle)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Processes that have an entry in their environment and are not dead.
fn processes_with(entry: &[u8]) -> io::Result<Vec<libc::pid_t>> {
    let own = std::process::id() as libc::pid_t;
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let Some(pid) = process?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Dead processes and those of other users cannot be read.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
            continue;
        };
        if pid != own
            && environment
                .split(|byte| *byte == 0)
                .any(|other| other == entry)
        {
            found.push(pid);
        }
    }
    Ok(found)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // What is not a valid handle was not created by a worker, and is left alone.
        let entry = entry?.file_name().into_string();
        names.extend(entry.ok().filter(|name| check(name).is_ok()));
    }
    Ok(names)
}

impl Driver for ProcessDriver {
    fn handles(&self) -> io::Result<BTreeMap<String, HandleKind>> {
        let mut handles = BTreeMap::new();
        for (folder, kind) in [
            (&self.volumes, HandleKind::Volume),
            (&self.containers, HandleKind::Container),
        ] {
            handles.extend(names(folder)?.into_iter().map(|name| (name, kind)));
        }
        Ok(handles)
    }

    fn destroy(&self, handle: &str, kind: HandleKind) -> io::Result<()> {
        check(handle)?;
        let folder = match kind {
            HandleKind::Container => {
                Self::kill(handle)?;
                self.containers.join(handle)
            }
            HandleKind::Volume => self.volumes.join(handle),
        };
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn volume_of(&self, container: &str) -> Option<String> {
        let file = self.containers.join(container).join(VOLUME_FILE);
        fs::read_to_string(file).ok()
    }

    fn parent_of(&self, _volume: &str) -> Option<String> {
        // Volumes are not copied yet.
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_model::task::Run;

    fn task(script: &str) -> Task {
        Task {
            platform: "linux".to_owned(),
            tags: [].into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            params: BTreeMap::new(),
            run: Run {
                path: "sh".to_owned(),
                args: vec!["-c".to_owned(), script.to_owned()],
                dir: None,
            },
            timeout_seconds: 60,
        }
    }

    #[test]
    fn destroy_kills_processes_that_left_their_group_and_removes_the_folders() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let driver = ProcessDriver::new(folder.path()).expect("writable");
        let (container, volume) = ("c-destroy-test", "v-destroy-test");
        let work = driver.create(container, volume).expect("new");
        let script = "setsid sleep 600 & echo started; sleep 600";
        let mut child = ProcessDriver::start(container, &work, &task(script)).expect("sh");
        let mut line = [0; 8];
        let stdout = child.stdout.as_mut().expect("a pipe");
        io::Read::read_exact(stdout, &mut line).expect("the script starts");
        assert_eq!(driver.volume_of(container).as_deref(), Some(volume));
        let entry = format!("{VARIABLE}={container}");
        assert!(!processes_with(entry.as_bytes()).expect("/proc").is_empty());
        driver
            .destroy(container, HandleKind::Container)
            .expect("killed");
        child.wait().expect("a child");
        assert!(processes_with(entry.as_bytes()).expect("/proc").is_empty());
        driver.destroy(volume, HandleKind::Volume).expect("removed");
        assert_eq!(driver.handles().expect("readable"), BTreeMap::new());
        driver
            .destroy(volume, HandleKind::Volume)
            .expect("gone already");
    }

    #[test]
    fn handle_never_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let driver = ProcessDriver::new(folder.path()).expect("writable");
        for handle in ["..", "../volumes", "a/b", ""] {
            assert!(driver.destroy(handle, HandleKind::Volume).is_err());
            assert!(driver.create("c", handle).is_err());
        }
        assert!(folder.path().join("volumes").exists());
    }
}
