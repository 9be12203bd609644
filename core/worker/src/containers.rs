//! The containers of a worker.
//!
//! ```text
//! containers/HANDLE/volume            the handle of its volume
//! containers/HANDLE/assignment.json   what it runs
//! containers/HANDLE/image             the image that its root file system shows
//! containers/HANDLE/root, upper, work its root file system (driver runc)
//! containers/HANDLE/cgroup.json       where it is counted and limited
//! containers/HANDLE/spec.json ...     what its shim reads and writes
//! ```

use crate::driver::Driver;
use crate::folder::{check, names, read_json, remove, write_json};
use crate::images::Image;
use crate::overlay::unmount;
use crate::runtime::{Bundle, Mapping, Runc, Runtime, process, runc};
use crate::shim::spec::{EXIT, LOCK, LOG, OUTPUT, Program, SPEC, Spec};
use crate::volumes::{self, Volumes};
use crate::{copy, limits};
use davy_base::Clock;
use davy_cgroup::{Cgroup, Figures, Hierarchy, Limits, Pressure};
use davy_model::wire::Assignment;
use davy_model::{HandleKind, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file in the folder of a container that names its volume.
const VOLUME: &str = "volume";
/// The file that names the image of its root file system.
const IMAGE: &str = "image";
/// The file with what it runs.
const ASSIGNMENT: &str = "assignment.json";
/// The file with its cgroup.
const CGROUP: &str = "cgroup.json";
/// The service of the profiles of all tasks.
const PROFILE_SERVICE: &str = "build";
/// The member of the profiles of tasks.
const PROFILE_MEMBER: &str = "worker.task";
/// The log of a task that cannot be sampled begins with this.
const NOT_PROFILED: &str = "davy: this task is not profiled: the worker has no cgroups\n";
/// Its root file system.
const ROOT: &str = "root";
/// The configuration for the OCI runtime is in a folder of its own.
const BUNDLE: &str = "bundle";

/// The containers and volumes of a worker.
#[derive(Debug)]
pub(crate) struct Containers {
    pub(crate) folder: PathBuf,
    pub(crate) volumes: Volumes,
    pub(crate) has_overlays: bool,
    pub(crate) runtime: Runtime,
    pub(crate) cgroups: Option<Hierarchy>,
    /// What a container gets that asks for nothing, and at most.
    pub(crate) limits: Limits,
    /// The program that runs a shim, with its arguments; the folder of the container follows.
    pub(crate) shim: Vec<OsString>,
    /// The program that samples a cgroup, with its arguments; those that name the cgroup and its labels follow.
    pub(crate) sampler: Vec<OsString>,
    /// The name of the worker, a label of profiles.
    pub(crate) worker: String,
    pub(crate) clock: Clock,
}

/// A container that this worker, or the process before it, has started.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) assignment: Assignment,
    /// Whether its shim runs or has written how the task ended.
    pub(crate) is_followed: bool,
}

/// What a container has used, and what it waited for.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    figures: Figures,
    pressure: Pressure,
}

impl Containers {
    /// The folder of a container.
    pub(crate) fn path(&self, container: &str) -> PathBuf {
        self.folder.join(container)
    }

    /// Creates a container with its volume; returns the folder of the volume. The volume comes first, so that a
    /// container always has one.
    pub(crate) fn create(&self, container: &str, volume: &str) -> io::Result<PathBuf> {
        check(container)?;
        let data = self.volumes.create(volume)?;
        if let Runtime::Runc(runc) = &self.runtime {
            copy::own(&data, runc.mapping.shift(), runc.mapping.shift())?;
        }
        let own = self.path(container);
        fs::create_dir(&own)?;
        fs::write(own.join(VOLUME), volume)?;
        Ok(data)
    }

    /// Starts the task of a build under a shim.
    pub(crate) fn start(&self, assignment: &Assignment, volume: &Path) -> io::Result<()> {
        let (container, task) = (&assignment.container, &assignment.task);
        let own = self.path(container);
        let limits = limits::of(task, self.limits);
        let cgroup = match &self.cgroups {
            Some(hierarchy) => {
                let cgroup = hierarchy.create(container, &limits);
                Some(cgroup.map_err(io::Error::other)?)
            }
            None => None,
        };
        if let Some(cgroup) = &cgroup {
            write_json(&own.join(CGROUP), cgroup)?;
        }
        let program = match &self.runtime {
            Runtime::Process => process(container, task, volume),
            Runtime::Runc(runc) => self.bundle(runc, container, task, volume)?,
        };
        let sampler = match &cgroup {
            Some(cgroup) if task.profile => self.sampler(assignment.id, cgroup),
            None if task.profile => {
                fs::write(own.join(OUTPUT), NOT_PROFILED)?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        let spec = Spec {
            container: container.clone(),
            program,
            timeout_seconds: task.timeout_seconds,
            cgroup,
            limits,
            sampler,
        };
        write_json(&own.join(SPEC), &spec)?;
        write_json(&own.join(ASSIGNMENT), assignment)?;
        self.spawn_shim(&own)
    }

    /// The command that samples the container of a build.
    fn sampler(&self, build: i64, cgroup: &Cgroup) -> Vec<OsString> {
        let folder = cgroup.folders().first().cloned().unwrap_or_default();
        let mut command = self.sampler.clone();
        command.extend(["--cgroup".into(), folder.into_os_string()]);
        command.extend(["--service".into(), PROFILE_SERVICE.into()]);
        for (name, value) in [
            ("build", build.to_string()),
            ("worker", self.worker.clone()),
            ("member", PROFILE_MEMBER.to_owned()),
        ] {
            command.extend(["--label".into(), format!("{name}={value}").into()]);
        }
        command
    }

    /// The shim has the lock as its standard input; it ends with the shim, however that ends.
    fn spawn_shim(&self, own: &Path) -> io::Result<()> {
        let lock = File::create(own.join(LOCK))?;
        lock.lock()?;
        let log = File::create(own.join(LOG))?;
        let [program, arguments @ ..] = &self.shim[..] else {
            return Err(io::Error::other("no program for the shim"));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .arg(own)
            .env_remove(process::VARIABLE)
            .stdin(lock)
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()?;
        // Reaps it; nothing else is learned from its exit status.
        let thread = std::thread::Builder::new().name("shim".to_owned());
        thread.spawn(move || drop(child.wait())).map(drop)
    }

    /// Creates the root file system and the configuration for the OCI runtime.
    fn bundle(
        &self,
        runc: &Runc,
        container: &str,
        task: &Task,
        volume: &Path,
    ) -> io::Result<Program> {
        let own = self.path(container);
        let image = runc.images.find(task.image.as_deref());
        let image =
            image.map_err(|error| io::Error::other(format!("cannot use the image: {error}")))?;
        fs::write(own.join(IMAGE), &image.key)?;
        let root = self.root(&own, &image)?;
        if runc.mapping == Mapping::Shifted {
            copy::own_all(volume, runc.mapping.shift())?;
        }
        let cgroups_path = self.cgroups.as_ref();
        let config = Bundle {
            task,
            environment: &image.environment,
            root: &root,
            volume,
            mapping: runc.mapping,
            has_network: runc.has_network,
            cgroups_path: cgroups_path.map(|hierarchy| hierarchy.runtime_path(container)),
            container,
        }
        .config();
        let bundle = own.join(BUNDLE);
        fs::create_dir(&bundle)?;
        write_json(&bundle.join("config.json"), &config)?;
        Ok(Program::Runc {
            program: runc.program.clone(),
            state: runc.state.clone(),
            bundle,
        })
    }

    /// A copy of an image that shares what the container does not change.
    fn root(&self, own: &Path, image: &Image) -> io::Result<PathBuf> {
        let root = own.join(ROOT);
        fs::create_dir(&root)?;
        let lower = [image.root.clone()];
        if self.has_overlays && volumes::shared(&lower, own, &root).is_ok() {
            return Ok(root);
        }
        copy::copy(&image.root, &root)?;
        let metadata = fs::metadata(&image.root)?;
        use std::os::unix::fs::MetadataExt as _;
        copy::own(&root, metadata.uid(), metadata.gid())?;
        Ok(root)
    }

    /// A command in a container that runs, for a terminal; a shell if it is empty.
    pub(crate) fn exec(&self, container: &str, command: &[String]) -> io::Result<Command> {
        check(container)?;
        if !self.is_shim_running(container)? {
            return Err(io::Error::other("the task has ended"));
        }
        let shell = ["sh".to_owned()];
        let [program, arguments @ ..] = (if command.is_empty() { &shell } else { command }) else {
            return Err(io::Error::other("no command"));
        };
        let own = self.path(container);
        let spec: Spec = read_json(&own.join(SPEC))?;
        Ok(match &self.runtime {
            Runtime::Runc(runc) => {
                let mut exec = Command::new(&runc.program);
                exec.arg("--root")
                    .arg(&runc.state)
                    .args(["exec", "--tty", "--env", "TERM=xterm", container, program])
                    .args(arguments);
                exec
            }
            Runtime::Process => {
                let Program::Process {
                    dir, environment, ..
                } = spec.program
                else {
                    return Err(io::Error::other("the task was started by another driver"));
                };
                let mut shell = Command::new(program);
                shell
                    .args(arguments)
                    .current_dir(dir)
                    .env_clear()
                    .envs(environment)
                    .env("TERM", "xterm");
                shell
            }
        })
    }

    /// Kills all processes of a container. Its shim notices and ends.
    pub(crate) fn kill(&self, container: &str) -> io::Result<()> {
        check(container)?;
        let own = self.path(container);
        match &self.runtime {
            Runtime::Process => process::kill(container)?,
            Runtime::Runc(runc) => {
                let call = runc::Call {
                    program: &runc.program,
                    state: &runc.state,
                };
                runc::delete(&call, container, &own, &self.clock)?;
            }
        }
        match self.cgroup(container) {
            Some(cgroup) => cgroup.kill().map_err(io::Error::other),
            None => Ok(()),
        }
    }

    fn cgroup(&self, container: &str) -> Option<Cgroup> {
        read_json(&self.path(container).join(CGROUP)).ok()
    }

    /// Whether the shim of a container runs.
    pub(crate) fn is_shim_running(&self, container: &str) -> io::Result<bool> {
        let path = self.path(container).join(LOCK);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The containers that an earlier process of this worker has started.
    pub(crate) fn found(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for container in names(&self.folder)? {
            let own = self.path(&container);
            let Ok(assignment) = read_json::<Assignment>(&own.join(ASSIGNMENT)) else {
                continue;
            };
            // A cloned disk has the files of containers of another machine.
            let is_own = assignment.container == container;
            let is_followed =
                is_own && (self.is_shim_running(&container)? || own.join(EXIT).exists());
            found.push(Found {
                assignment,
                is_followed,
            });
        }
        Ok(found)
    }

    /// What the containers use, by handle.
    pub(crate) fn figures(&self) -> BTreeMap<String, Measured> {
        let Ok(containers) = names(&self.folder) else {
            return BTreeMap::new();
        };
        let figures = containers.into_iter().filter_map(|container| {
            let cgroup = self.cgroup(&container)?;
            let measured = Measured {
                figures: cgroup.figures(),
                pressure: cgroup.pressure(),
            };
            cgroup.exists().then_some((container, measured))
        });
        figures.collect()
    }

    /// Removes images that nobody has used for a while.
    pub(crate) fn collect_images(&self) -> io::Result<()> {
        let Runtime::Runc(runc) = &self.runtime else {
            return Ok(());
        };
        let containers = names(&self.folder)?;
        let in_use: BTreeSet<String> = containers
            .iter()
            .filter_map(|container| fs::read_to_string(self.path(container).join(IMAGE)).ok())
            .collect();
        runc.images.collect(&in_use)
    }
}

/// The command of a task as a process on the machine.
fn process(container: &str, task: &Task, volume: &Path) -> Program {
    let dir = match &task.run.dir {
        Some(dir) => volume.join(dir),
        None => volume.to_owned(),
    };
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let defaults = [
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), volume.display().to_string()),
    ];
    let mut environment: BTreeMap<String, String> = defaults.into();
    environment.extend(task.params.clone());
    environment.insert(process::VARIABLE.to_owned(), container.to_owned());
    Program::Process {
        path: task.run.path.clone(),
        args: task.run.args.clone(),
        dir,
        environment,
    }
}

impl Driver for Containers {
    fn handles(&self) -> io::Result<BTreeMap<String, HandleKind>> {
        let mut handles = BTreeMap::new();
        let volumes = self.volumes.handles()?;
        handles.extend(volumes.into_iter().map(|name| (name, HandleKind::Volume)));
        let containers = names(&self.folder)?;
        handles.extend(
            containers
                .into_iter()
                .map(|name| (name, HandleKind::Container)),
        );
        Ok(handles)
    }

    fn destroy(&self, handle: &str, kind: HandleKind) -> io::Result<()> {
        check(handle)?;
        if kind == HandleKind::Volume {
            return self.volumes.destroy(handle);
        }
        self.kill(handle)?;
        if let Some(cgroup) = self.cgroup(handle) {
            cgroup.remove().map_err(io::Error::other)?;
        }
        let own = self.path(handle);
        unmount(&own.join(ROOT))?;
        remove(&own)
    }

    fn volume_of(&self, container: &str) -> Option<String> {
        fs::read_to_string(self.path(container).join(VOLUME)).ok()
    }

    fn parent_of(&self, volume: &str) -> Option<String> {
        self.volumes.parent(volume)
    }
}

#[cfg(test)]
mod tests;
