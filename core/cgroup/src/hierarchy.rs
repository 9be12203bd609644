//! The folder in which cgroups are created.

use crate::cgroup::{self, Cgroup};
use crate::error::{Error, at};
use crate::limits::Limits;
use crate::mounts::{self, Own, Version};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The cgroup of version 2 that this process moves to, so that its own cgroup can pass on controllers.
const MAIN: &str = "davy-main";
/// Controllers of version 2 that are enabled.
const V2_CONTROLLERS: [&str; 4] = ["memory", "cpu", "pids", "io"];
/// What makes a cgroup writable.
const ADVICE: &str = "set Delegate=yes in the unit of systemd, or run as root";
/// Controllers of version 1, and the file that shows that one is available.
const V1_PROBES: [(&str, &str); 4] = [
    ("memory", "memory.limit_in_bytes"),
    ("cpu", "cpu.shares"),
    ("pids", "pids.max"),
    ("blkio", "blkio.throttle.io_service_bytes"),
];

/// A place for cgroups: a cgroup below that of this process.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    version: Version,
    folders: Vec<PathBuf>,
    missing: Vec<&'static str>,
    /// Held while it is for this process alone.
    lock: Option<Arc<fs::File>>,
}

impl Hierarchy {
    /// As [`Hierarchy::open`], for this process alone: if another process has the cgroup `name`, this one gets `name` with
    /// its process id. What processes that are dead have left is removed.
    pub fn open_exclusive(name: &str) -> Result<Self, Error> {
        let mut hierarchy = Self::open(name)?;
        hierarchy.remove_abandoned(name);
        if !hierarchy.lock()? {
            hierarchy = Self::open(&format!("{name}.{}", std::process::id()))?;
            hierarchy.lock()?;
        }
        for left in hierarchy.names()? {
            // One with processes is not removed, and a new one of its name reports why.
            let _ = hierarchy.get(&left)?.remove();
        }
        Ok(hierarchy)
    }

    /// Whether no other process has it. The kernel drops the lock when this process ends.
    fn lock(&mut self) -> Result<bool, Error> {
        let folder = &self.folders[0];
        let file = fs::File::open(folder).map_err(at(folder))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(Arc::new(file)),
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => return Err(at(folder)(error)),
        }
        Ok(true)
    }

    /// Removes `name` with the ids of processes that have ended.
    fn remove_abandoned(&self, name: &str) {
        for folder in &self.folders {
            let entries = folder.parent().and_then(|parent| fs::read_dir(parent).ok());
            for entry in entries.into_iter().flatten().flatten() {
                let file_name = entry.file_name();
                let rest = file_name.to_str().and_then(|text| text.strip_prefix(name));
                let pid = rest.and_then(|rest| rest.strip_prefix('.')?.parse::<u32>().ok());
                if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                    // One with processes stays.
                    let _ = cgroup::remove(&entry.path());
                }
            }
        }
    }

    /// The version that would limit a process. Changes nothing.
    pub fn probe() -> Result<Version, Error> {
        let own = mounts::own_of_process()?;
        if own.folders.iter().any(|folder| is_writable(folder)) {
            return Ok(own.version);
        }
        let reason = match own.version {
            Version::V1 => "no controller of version 1 is writable",
            Version::V2 => "the own cgroup is not writable",
        };
        Err(Error::Unavailable {
            reason: format!("{reason}; {ADVICE}"),
        })
    }

    /// Creates the cgroup `name` below the own one, or uses it if it exists, and enables the controllers. On version 2 the
    /// processes of the own cgroup move to `davy-main` in it, unless it is the root.
    pub fn open(name: &str) -> Result<Self, Error> {
        cgroup::check(name)?;
        let own = mounts::own_of_process()?;
        match own.version {
            Version::V1 => Self::v1(own, name),
            Version::V2 => Self::v2(&own, name),
        }
    }

    fn v1(own: Own, name: &str) -> Result<Self, Error> {
        let (mut folders, mut reason) = (Vec::new(), String::new());
        for folder in own.folders {
            let folder = folder.join(name);
            match create(&folder) {
                Ok(()) => folders.push(folder),
                Err(error) => reason = error.to_string(),
            }
        }
        if folders.is_empty() {
            let reason = format!("no controller of version 1 is writable ({reason}); {ADVICE}");
            return Err(Error::Unavailable { reason });
        }
        Ok(Self::with_missing(Version::V1, folders, &V1_PROBES))
    }

    fn v2(own: &Own, name: &str) -> Result<Self, Error> {
        let mut base = own.folders[0].clone();
        if base.file_name().is_some_and(|last| last == MAIN) {
            base.pop();
        }
        let folder = base.join(name);
        create(&folder).map_err(|error| Error::Unavailable {
            reason: format!("the own cgroup is not writable ({error}); {ADVICE}"),
        })?;
        // Only the root has no such file. Another cgroup with processes cannot enable controllers.
        if base.join("cgroup.type").exists() {
            let main = base.join(MAIN);
            create(&main).map_err(at(&main))?;
            let to = main.join("cgroup.procs");
            for pid in cgroup::pids(&base)? {
                // It may have ended.
                let moved = fs::write(&to, pid.to_string());
                if let Err(error) = moved
                    && error.raw_os_error() != Some(libc::ESRCH)
                {
                    return Err(at(&to)(error));
                }
            }
        }
        for folder in [&base, &folder] {
            for controller in V2_CONTROLLERS {
                // One that is missing is found below; one at a time, so that the others work.
                let _ = fs::write(
                    folder.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                );
            }
        }
        let enabled = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        Ok(Self {
            version: Version::V2,
            missing: lacking(&enabled),
            folders: vec![folder],
            lock: None,
        })
    }

    fn with_missing(
        version: Version,
        folders: Vec<PathBuf>,
        probes: &[(&'static str, &str)],
    ) -> Self {
        let has = |file: &str| folders.iter().any(|folder| folder.join(file).exists());
        let missing = probes.iter().filter(|(_, file)| !has(file));
        Self {
            version,
            missing: missing.map(|(controller, _)| *controller).collect(),
            folders,
            lock: None,
        }
    }

    /// The version of the interface.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Controllers that are not available: what they limit and count is not.
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// Creates a cgroup with limits. One of the same name without processes is replaced.
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Cgroup, Error> {
        let cgroup = self.get(name)?;
        // An earlier one has old limits and figures.
        cgroup.remove()?;
        let created = cgroup
            .folders()
            .iter()
            .try_for_each(|folder| create(folder).map_err(at(folder)))
            .and_then(|()| limits.apply(&cgroup));
        if let Err(error) = created {
            // The first error says why.
            let _ = cgroup.remove();
            return Err(error);
        }
        Ok(cgroup)
    }

    /// The cgroup of a name, whether it exists or not.
    pub fn get(&self, name: &str) -> Result<Cgroup, Error> {
        cgroup::check(name)?;
        let folders = self.folders.iter().map(|folder| folder.join(name));
        Ok(Cgroup::of(self.version, folders.collect()))
    }

    /// The cgroup of a name as an OCI runtime expects it: on version 1 relative to the own cgroup of the runtime, which
    /// has to be that of this process; on version 2 from the root.
    pub fn runtime_path(&self, name: &str) -> String {
        let folder = self.folders[0].join(name);
        match self.version {
            Version::V1 => {
                let parent = self.folders[0].file_name().unwrap_or_default();
                Path::new(parent).join(name).display().to_string()
            }
            Version::V2 => {
                let inner = folder.strip_prefix("/sys/fs/cgroup").unwrap_or(&folder);
                Path::new("/").join(inner).display().to_string()
            }
        }
    }

    /// The names of the cgroups that exist.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for folder in &self.folders {
            for entry in fs::read_dir(folder).map_err(at(folder))? {
                let entry = entry.map_err(at(folder))?;
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if let Ok(name) = entry.file_name().into_string()
                    && is_folder
                {
                    names.push(name);
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Removes the cgroup that holds all others, if none is left in it.
    pub fn close(&self) -> Result<(), Error> {
        Cgroup::of(self.version, self.folders.clone()).remove()
    }
}

/// The controllers of version 2 that a list of the kernel lacks.
fn lacking(list: &str) -> Vec<&'static str> {
    let has = |controller: &&str| list.split_whitespace().any(|name| name == *controller);
    V2_CONTROLLERS
        .into_iter()
        .filter(|controller| !has(controller))
        .collect()
}

/// Creates a folder. One that exists must be writable: it may have been left by another user.
fn create(folder: &Path) -> std::io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            if is_writable(folder) {
                Ok(())
            } else {
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
        }
        created => created,
    }
}

fn is_writable(folder: &Path) -> bool {
    let path = CString::new(folder.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: reads a string that ends with a zero byte.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn version_2_kills_all_processes_in_one_step_and_counts_their_cpu_time() {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").expect("readable");
        let cgroups = fs::read_to_string("/proc/self/cgroup").expect("readable");
        // Where version 1 limits, version 2 may be mounted too, without controllers.
        let lines = mountinfo.lines();
        let without_v1: Vec<&str> = lines.filter(|line| !line.contains(" - cgroup ")).collect();
        let name = format!("davy-test-{}-v2", std::process::id());
        let opened =
            mounts::own(&without_v1.join("\n"), &cgroups).map(|own| Hierarchy::v2(&own, &name));
        let hierarchy = match opened {
            Some(Ok(hierarchy)) => hierarchy,
            Some(Err(error)) => return davy_test_support::skip(&error.to_string()),
            None => return davy_test_support::skip("version 2 is not mounted"),
        };
        let cgroup = hierarchy.create("c", &Limits::default()).expect("new");
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        cgroup.add(child.id()).expect("added");
        assert!(cgroup.processes().expect("listed").contains(&child.id()));
        cgroup.kill().expect("killed");
        assert!(!child.wait().expect("a child").success());
        assert!(cgroup.figures().cpu_microseconds.is_some());
        while cgroup.remove().is_err() {
            std::thread::yield_now();
        }
        hierarchy.close().expect("nothing is left");
    }
}
