//! The configuration of a container for an OCI runtime.

use super::mapping::{Mapping, USERS};
use davy_model::Task;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a container sees its volume.
pub(crate) const WORK_DIR: &str = "/work";
/// Where programs are searched if the image says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What root in a container may do: what packages and builds need in their own file system, and nothing that
/// reaches out of it.
const CAPABILITIES: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
];
/// Files of the kernel that a container cannot read.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Files of the kernel that a container cannot write.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
/// System calls that fail: they change the machine, or have been ways out of containers.
const FORBIDDEN_CALLS: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "quotactl",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
];

/// What the configuration depends on.
pub(crate) struct Bundle<'a> {
    pub(crate) task: &'a Task,
    /// Environment variables of the image, as `NAME=VALUE`.
    pub(crate) environment: &'a [String],
    /// The root file system.
    pub(crate) root: &'a Path,
    /// The contents of the volume.
    pub(crate) volume: &'a Path,
    pub(crate) mapping: Mapping,
    pub(crate) has_network: bool,
    /// The cgroup in the form that the runtime expects, if there is one.
    pub(crate) cgroups_path: Option<String>,
    pub(crate) container: &'a str,
}

impl Bundle<'_> {
    /// The contents of `config.json`.
    pub(crate) fn config(&self) -> Value {
        let mut linux = json!({
            "namespaces": self.namespaces(),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": architectures(),
                "syscalls": [{
                    "names": FORBIDDEN_CALLS,
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": libc::EPERM,
                }],
            },
        });
        let ids = match self.mapping {
            Mapping::Same => None,
            Mapping::Shifted => {
                let map =
                    json!([{"containerID": 0, "hostID": self.mapping.shift(), "size": USERS}]);
                Some((map.clone(), map))
            }
            Mapping::Own { uid, gid } => Some((
                json!([{"containerID": 0, "hostID": uid, "size": 1}]),
                json!([{"containerID": 0, "hostID": gid, "size": 1}]),
            )),
        };
        if let Some((uids, gids)) = ids {
            linux["uidMappings"] = uids;
            linux["gidMappings"] = gids;
        }
        if let Some(path) = &self.cgroups_path {
            linux["cgroupsPath"] = json!(path);
        }
        let dir = match &self.task.run.dir {
            Some(dir) => format!("{WORK_DIR}/{dir}"),
            None => WORK_DIR.to_owned(),
        };
        let mut args = vec![self.task.run.path.clone()];
        args.extend(self.task.run.args.iter().cloned());
        json!({
            "ociVersion": "1.0.2",
            "hostname": self.container,
            "root": {"path": self.root, "readonly": false},
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": args,
                "cwd": dir,
                "env": self.variables(),
                "noNewPrivileges": true,
                "capabilities": {
                    "bounding": CAPABILITIES,
                    "effective": CAPABILITIES,
                    "permitted": CAPABILITIES,
                },
            },
            "mounts": self.mounts(),
            "linux": linux,
        })
    }

    fn namespaces(&self) -> Vec<Value> {
        let mut kinds = vec!["pid", "ipc", "uts", "mount"];
        if self.mapping != Mapping::Same {
            kinds.push("user");
        }
        if !self.has_network {
            kinds.push("network");
        }
        // A container sees its own cgroup as the root.
        if Path::new("/proc/self/ns/cgroup").exists() {
            kinds.push("cgroup");
        }
        kinds.iter().map(|kind| json!({"type": kind})).collect()
    }

    /// Environment variables: those of the task over those of the image.
    fn variables(&self) -> Vec<String> {
        let defaults = [
            ("PATH".to_owned(), PATH.to_owned()),
            ("HOME".to_owned(), WORK_DIR.to_owned()),
        ];
        let mut variables: BTreeMap<String, String> = defaults.into();
        for variable in self.environment {
            if let Some((name, value)) = variable.split_once('=') {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        variables.extend(self.task.params.clone());
        let variables = variables.into_iter();
        variables
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn mounts(&self) -> Vec<Value> {
        let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
        let mut devpts = vec![
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
        ];
        if !matches!(self.mapping, Mapping::Own { .. }) {
            devpts.push("gid=5");
        }
        let mut mounts = vec![
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount(
                "/dev",
                "tmpfs",
                &["nosuid", "strictatime", "mode=755", "size=65536k"],
            ),
            mount("/dev/pts", "devpts", &devpts),
            mount(
                "/dev/shm",
                "tmpfs",
                &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
            ),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/tmp", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
        ];
        // The kernel shows `/sys` only to the owner of the network.
        if !self.has_network || self.mapping == Mapping::Same {
            mounts.push(mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]));
        }
        if self.has_network {
            for file in ["/etc/resolv.conf", "/etc/hosts"] {
                if Path::new(file).exists() {
                    mounts.push(json!({"destination": file, "type": "bind", "source": file, "options": ["bind", "ro", "nosuid", "nodev", "noexec"]}));
                }
            }
        }
        mounts.push(json!({"destination": WORK_DIR, "type": "bind", "source": self.volume, "options": ["bind", "rw", "nosuid", "nodev"]}));
        mounts
    }
}

const fn architectures() -> &'static [&'static str] {
    if cfg!(target_arch = "x86_64") {
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    } else {
        &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(mapping: Mapping, has_network: bool) -> Value {
        let task: Task = serde_json::from_value(json!({
            "run": {"path": "sh", "args": ["-c", "true"]},
            "params": {"LANG": "C"},
        }))
        .expect("a task");
        let bundle = Bundle {
            task: &task,
            environment: &["LANG=en".to_owned(), "PATH=/bin".to_owned()],
            root: Path::new("/root-fs"),
            volume: Path::new("/volume"),
            mapping,
            has_network,
            cgroups_path: Some("davy/c".to_owned()),
            container: "c",
        };
        bundle.config()
    }

    #[test]
    fn container_is_isolated_and_its_root_has_no_power_over_the_machine() {
        let config = config(Mapping::Shifted, false);
        let namespaces = config["linux"]["namespaces"].to_string();
        for kind in ["pid", "ipc", "uts", "mount", "user", "network"] {
            assert!(namespaces.contains(kind), "{kind}");
        }
        assert_eq!(config["process"]["noNewPrivileges"], true);
        let capabilities = config["process"]["capabilities"].to_string();
        for capability in ["SYS_ADMIN", "MKNOD", "NET_RAW", "SYS_PTRACE"] {
            assert!(!capabilities.contains(capability), "{capability}");
        }
        assert_eq!(config["linux"]["uidMappings"][0]["hostID"], 1_000_013_824);
        let environment = config["process"]["env"].to_string();
        assert!(environment.contains("LANG=C") && environment.contains("PATH=/bin"));
    }

    #[test]
    fn network_of_the_machine_is_shared_only_if_the_worker_allows_it() {
        let namespaces = |config: Value| config["linux"]["namespaces"].to_string();
        assert!(!namespaces(config(Mapping::Same, true)).contains("network"));
        let config = config(Mapping::Own { uid: 7, gid: 8 }, false);
        assert_eq!(config["linux"]["gidMappings"][0]["hostID"], 8);
        assert_eq!(config["linux"]["uidMappings"][0]["size"], 1);
    }
}
