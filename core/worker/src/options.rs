//! How a worker is run, and what the machine offers it.

use crate::containers::Containers;
use crate::images::Images;
use crate::runtime::{Mapping, Runc, Runtime};
use crate::volumes::{Volumes, has_overlays};
use crate::{Error, WorkerKey};
use davy_base::Clock;
use davy_cgroup::{Hierarchy, Limits};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How to run a worker.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The address of a frontend.
    pub server: String,
    /// The name of the worker.
    pub name: String,
    /// Its key.
    pub key: WorkerKey,
    /// The folder for its containers, volumes and images.
    pub folder: PathBuf,
    /// How tasks are run.
    pub driver: DriverOptions,
    /// What a container gets that asks for nothing, and at most.
    pub limits: Limits,
    /// The program that runs [`crate::shim`] for the folder that follows its arguments.
    pub shim: Vec<OsString>,
    /// The program that samples a cgroup and pushes its profiles, with its arguments; `--cgroup`, `--service` and
    /// `--label` follow.
    pub sampler: Vec<OsString>,
    /// Tags that tasks can ask for. A worker with tags runs only tasks that ask for one.
    pub tags: BTreeSet<String>,
    /// Containers at the same time, at most.
    pub capacity: u32,
    /// Whether it is removed instead of stalled when it stops reporting.
    pub is_ephemeral: bool,
    /// From one report to the next, at most 30 s.
    pub sync_interval: Duration,
    /// The clock.
    pub clock: Clock,
}

/// How tasks are run.
#[derive(Clone, Debug)]
pub enum DriverOptions {
    /// As processes of the worker's user, without isolation.
    Process,
    /// In containers, by an OCI runtime.
    Runc {
        /// The program.
        program: PathBuf,
        /// The folder with images: folders, tar files and OCI layouts.
        images: PathBuf,
        /// The image of tasks that name none.
        default_image: Option<String>,
        /// Whether containers share the network of the machine; otherwise they have none.
        has_network: bool,
    },
}

/// The containers of a worker, and a description of what isolates and limits them.
pub(crate) fn containers(options: &WorkerOptions) -> Result<(Containers, String), Error> {
    let failed = |source| Error::Folder {
        path: options.folder.clone(),
        source,
    };
    // Mounts and other programs need absolute paths.
    let work = fs::canonicalize(&options.folder).map_err(failed)?;
    let folder = work.join("containers");
    fs::create_dir_all(&folder).map_err(failed)?;
    let (runtime, has_overlays, mut driver) = match &options.driver {
        DriverOptions::Process => (Runtime::Process, false, "process".to_owned()),
        DriverOptions::Runc {
            program,
            images,
            default_image,
            has_network,
        } => {
            let version = check(program)?;
            let mapping = Mapping::detect();
            let images = Images::new(
                fs::canonicalize(images).map_err(|source| Error::Folder {
                    path: images.clone(),
                    source,
                })?,
                work.join("images"),
                default_image.clone(),
                mapping.shift(),
                options.clock.clone(),
            );
            let state = work.join("runc");
            fs::create_dir_all(&state).map_err(failed)?;
            let runc = Runc {
                program: program.clone(),
                state,
                images: images.map_err(failed)?,
                mapping,
                has_network: *has_network,
            };
            if mapping == Mapping::Same {
                tracing::warn!(
                    "user namespaces are not permitted: root in a container is root on the machine"
                );
            }
            (
                Runtime::Runc(Box::new(runc)),
                has_overlays(&work),
                format!("runc ({version})"),
            )
        }
    };
    let cgroups = match Hierarchy::open(&format!("davy-worker-{}", options.name)) {
        Ok(hierarchy) => {
            let missing = hierarchy.missing();
            if !missing.is_empty() {
                tracing::warn!(
                    ?missing,
                    "controllers of cgroups are missing; what they limit is not limited"
                );
            }
            Some(hierarchy)
        }
        Err(error) => {
            tracing::warn!(%error, "tasks are neither limited nor counted");
            driver += ", without cgroups";
            None
        }
    };
    let containers = Containers {
        volumes: Volumes::new(work.join("volumes"), has_overlays).map_err(failed)?,
        folder,
        has_overlays,
        runtime,
        cgroups,
        limits: options.limits,
        shim: options.shim.clone(),
        sampler: options.sampler.clone(),
        worker: options.name.clone(),
        clock: options.clock.clone(),
    };
    Ok((containers, driver))
}

/// The version of the OCI runtime.
fn check(program: &Path) -> Result<String, Error> {
    let failed = |reason: String| Error::Runtime {
        program: program.to_owned(),
        reason,
    };
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().unwrap_or_default();
    Ok(version.chars().take(64).collect())
}
