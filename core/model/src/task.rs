//! The task of a build.

use crate::name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Arguments of the command, at most.
pub const ARGS_MAX: usize = 1_000;
/// The size of the command, its arguments and parameters, at most.
pub const TEXT_BYTES_MAX: usize = 128 << 10;
/// Inputs and outputs, at most each.
pub const FOLDERS_MAX: usize = 32;
/// Parameters, at most.
pub const PARAMS_MAX: usize = 500;
/// Tags, at most.
pub const TAGS_MAX: usize = 16;
/// The lowest limit of memory, in bytes: less does not start a shell in a container.
pub const MEMORY_MIN: u64 = 8 << 20;
/// The lowest limit of processes: an OCI runtime needs a few threads to start one.
pub const PIDS_MIN: u64 = 16;
/// The longest time limit of a task, in seconds.
pub const TIMEOUT_SECONDS_MAX: u64 = 24 * 3_600;
/// The time limit of a task that sets none, in seconds.
pub const TIMEOUT_SECONDS_DEFAULT: u64 = 3_600;

/// The task of a build, as `task.yml` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The platform of the worker, such as `linux`.
    #[serde(default = "linux")]
    pub platform: String,
    /// Tags that the worker must have.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Folders that the client uploads.
    #[serde(default)]
    pub inputs: Vec<Folder>,
    /// Folders that the client downloads.
    #[serde(default)]
    pub outputs: Vec<Folder>,
    /// Environment variables.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The root file system: the name of an image of the worker. The worker's default one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What the task may use, at most.
    #[serde(default, skip_serializing_if = "TaskLimits::is_empty")]
    pub limits: TaskLimits,
    /// Whether the worker samples the container, and sends flame graphs of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub profile: bool,
    /// The command.
    pub run: Run,
    /// The time limit, in seconds.
    #[serde(default = "timeout")]
    pub timeout_seconds: u64,
}

/// A folder in the working directory of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Its name.
    pub name: String,
}

/// What a task may use, at most. A worker may allow less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskLimits {
    /// Memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// The share of the CPU while others want it too: 1 to 10,000; 100 is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u64>,
}

impl TaskLimits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(self) -> Result<(), InvalidTask> {
        let within = |what, got: Option<u64>, min: u64, max: u64| match got {
            Some(got) if !(min..=max).contains(&got) => Err(InvalidTask::Limit {
                what,
                got,
                min,
                max,
            }),
            _ => Ok(()),
        };
        within("memory_max", self.memory_max, MEMORY_MIN, u64::MAX >> 2)?;
        within("cpu_weight", self.cpu_weight, 1, 10_000)?;
        within("pids_max", self.pids_max, PIDS_MIN, 1 << 22)
    }
}

/// The command of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The program.
    pub path: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// The folder it starts in: an input or output; the folder that holds these by default.
    #[serde(default)]
    pub dir: Option<String>,
}

fn linux() -> String {
    "linux".to_owned()
}

const fn timeout() -> u64 {
    TIMEOUT_SECONDS_DEFAULT
}

/// Why a task is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTask {
    /// A name is not allowed.
    #[error(transparent)]
    Name(#[from] name::InvalidName),
    /// Something exceeds its limit.
    #[error("the task has {got} {what}; at most {max} are allowed")]
    TooMany {
        /// What exceeds the limit.
        what: &'static str,
        /// How many or how much.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Two inputs or two outputs have the same name.
    #[error("duplicate {what} {name:?}")]
    Duplicate {
        /// `input` or `output`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The command starts in a folder that the task does not have.
    #[error("run.dir {dir:?} is not an input or output of the task")]
    Folder {
        /// The folder.
        dir: String,
    },
    /// A text cannot be passed to a program.
    #[error("{what} must not be empty and must not contain a zero byte")]
    Text {
        /// Which text.
        what: &'static str,
    },
    /// The name of an environment variable is not allowed.
    #[error(
        "invalid parameter {name:?}: expected letters, digits and '_', not beginning with a digit"
    )]
    Parameter {
        /// The start of the name.
        name: String,
    },
    /// A limit is not allowed.
    #[error("invalid limits.{what} {got}: expected {min} to {max}")]
    Limit {
        /// Which limit.
        what: &'static str,
        /// The limit.
        got: u64,
        /// The lowest limit.
        min: u64,
        /// The highest limit.
        max: u64,
    },
    /// The time limit is not allowed.
    #[error("invalid timeout_seconds {got}: expected 1 to {TIMEOUT_SECONDS_MAX}")]
    Timeout {
        /// The time limit.
        got: u64,
    },
}

impl Task {
    /// Checks a task that comes from outside.
    pub fn check(&self) -> Result<(), InvalidTask> {
        name::check("platform", &self.platform)?;
        at_most("tags", self.tags.len(), TAGS_MAX)?;
        for tag in &self.tags {
            name::check("tag", tag)?;
        }
        if let Some(image) = &self.image {
            name::check("image", image)?;
        }
        self.limits.check()?;
        folders("input", &self.inputs)?;
        folders("output", &self.outputs)?;
        at_most("parameters", self.params.len(), PARAMS_MAX)?;
        at_most("arguments", self.run.args.len(), ARGS_MAX)?;
        let texts = self.params.iter().flat_map(|(name, value)| [name, value]);
        let bytes = texts.chain(&self.run.args).map(String::len).sum::<usize>();
        let bytes = bytes + self.run.path.len();
        at_most("bytes of command and parameters", bytes, TEXT_BYTES_MAX)?;
        for name in self.params.keys() {
            check_variable(name)?;
        }
        if self.run.path.is_empty() || self.run.path.contains('\0') {
            return Err(InvalidTask::Text { what: "run.path" });
        }
        if self.run.args.iter().any(|text| text.contains('\0')) {
            return Err(InvalidTask::Text { what: "run.args" });
        }
        if self.params.values().any(|text| text.contains('\0')) {
            return Err(InvalidTask::Text { what: "params" });
        }
        if let Some(dir) = &self.run.dir {
            let mut folders = self.inputs.iter().chain(&self.outputs);
            if !folders.any(|folder| folder.name == *dir) {
                return Err(InvalidTask::Folder { dir: dir.clone() });
            }
        }
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&self.timeout_seconds) {
            let got = self.timeout_seconds;
            return Err(InvalidTask::Timeout { got });
        }
        Ok(())
    }

    /// Whether a worker of this platform with these tags may run it. A worker with tags only runs tasks that
    /// ask for one of them, so that special machines are not filled with ordinary work.
    pub fn fits(&self, platform: &str, tags: &BTreeSet<String>) -> bool {
        self.platform == platform
            && self.tags.is_subset(tags)
            && (tags.is_empty() || !self.tags.is_empty())
    }
}

fn at_most(what: &'static str, got: usize, max: usize) -> Result<(), InvalidTask> {
    if got > max {
        return Err(InvalidTask::TooMany { what, got, max });
    }
    Ok(())
}

fn folders(what: &'static str, folders: &[Folder]) -> Result<(), InvalidTask> {
    at_most("inputs or outputs", folders.len(), FOLDERS_MAX)?;
    let mut seen = BTreeSet::new();
    for Folder { name } in folders {
        name::check(what, name)?;
        if !seen.insert(name) {
            let name = name.clone();
            return Err(InvalidTask::Duplicate { what, name });
        }
    }
    Ok(())
}

fn check_variable(name: &str) -> Result<(), InvalidTask> {
    let is_valid = name.len() <= 256
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if is_valid {
        return Ok(());
    }
    Err(InvalidTask::Parameter {
        name: name.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            platform: linux(),
            tags: BTreeSet::new(),
            inputs: vec![Folder {
                name: "src".to_owned(),
            }],
            outputs: vec![Folder {
                name: "out".to_owned(),
            }],
            params: BTreeMap::new(),
            image: None,
            limits: TaskLimits::default(),
            profile: false,
            run: Run {
                path: "sh".to_owned(),
                args: Vec::new(),
                dir: None,
            },
            timeout_seconds: 60,
        }
    }

    #[test]
    fn hostile_tasks_are_refused() {
        let refused = |expected: &str, change: fn(&mut Task)| {
            let mut task = task();
            change(&mut task);
            let error = task.check().expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        };
        assert_eq!(task().check(), Ok(()));
        refused("invalid input", |t| t.inputs[0].name = "../etc".to_owned());
        refused("invalid output", |t| t.outputs[0].name = "/".to_owned());
        refused("duplicate input", |t| t.inputs.push(t.inputs[0].clone()));
        refused("is not an input", |t| t.run.dir = Some("..".to_owned()));
        refused("zero byte", |t| t.run.args.push("a\0b".to_owned()));
        refused("run.path", |t| t.run.path.clear());
        refused("1001 arguments", |t| {
            t.run.args = vec![String::new(); 1_001];
        });
        refused("bytes of command", |t| {
            t.run.args.push("x".repeat(TEXT_BYTES_MAX + 1));
        });
        refused("invalid parameter", |t| {
            t.params.insert("A=B".to_owned(), String::new());
        });
        refused("invalid image", |t| t.image = Some("../etc".to_owned()));
        refused("invalid limits.memory_max 1", |t| {
            t.limits.memory_max = Some(1);
        });
        refused("invalid limits.pids_max 0", |t| t.limits.pids_max = Some(0));
        refused("invalid timeout_seconds 0", |t| t.timeout_seconds = 0);
    }

    #[test]
    fn worker_with_tags_runs_only_tasks_that_ask_for_one() {
        let tags = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let check = |wanted: &[&str], offered: &[&str], expected: bool| {
            let mut task = task();
            task.tags = tags(wanted);
            assert_eq!(task.fits("linux", &tags(offered)), expected);
            assert!(!task.fits("darwin", &tags(offered)));
        };
        check(&[], &[], true);
        check(&["gpu"], &[], false);
        check(&["gpu"], &["gpu", "big"], true);
        check(&[], &["gpu"], false);
    }
}
