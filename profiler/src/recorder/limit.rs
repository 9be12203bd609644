//! How much memory the process may still use: by control groups (versions 1 and 2) and by `RLIMIT_AS`.
//! Every file is opened in advance, and reading allocates nothing.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Memory usage and its limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Usage {
    pub(super) fn percent(self) -> u64 {
        self.used.saturating_mul(100) / self.limit.max(1)
    }

    pub(super) fn available(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Every limit that applies to this process.
#[derive(Debug)]
pub(super) struct Limits {
    groups: Vec<Group>,
    statm: Option<File>,
    page: u64,
}

/// The files of a control group: its usage, its limit, and its reclaimable memory.
#[derive(Debug)]
struct Group {
    usage: File,
    limit: File,
    stat: Option<File>,
}

impl Limits {
    pub(super) fn find() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let folders = folders(&text("/proc/self/mountinfo"), &text("/proc/self/cgroup"));
        // SAFETY: returns a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Self {
            groups: folders
                .iter()
                .filter_map(|folder| Group::open(folder))
                .collect(),
            statm: File::open("/proc/self/statm").ok(),
            page: u64::try_from(page).unwrap_or(4_096),
        }
    }

    /// The limit that is nearest to being reached; none if there are no limits.
    pub(super) fn nearest(&self) -> Option<Usage> {
        let groups = self.groups.iter().filter_map(Group::read);
        groups
            .chain(self.address_space())
            .max_by_key(|usage| usage.percent())
    }

    fn address_space(&self) -> Option<Usage> {
        let mut limit = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the limit outlives the call.
        unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
        if limit.rlim_cur == libc::RLIM_INFINITY {
            return None;
        }
        Some(Usage {
            used: number(self.statm.as_ref()?)? * self.page,
            limit: limit.rlim_cur,
        })
    }
}

impl Group {
    fn open(folder: &Path) -> Option<Self> {
        let open = |name: &str| File::open(folder.join(name)).ok();
        Some(Self {
            usage: open("memory.current").or_else(|| open("memory.usage_in_bytes"))?,
            limit: open("memory.max").or_else(|| open("memory.limit_in_bytes"))?,
            stat: open("memory.stat"),
        })
    }

    fn read(&self) -> Option<Usage> {
        // Without a limit, version 2 has `max` here, and version 1 a number larger than any memory.
        let limit = number(&self.limit).filter(|limit| *limit < 1 << 60)?;
        let mut used = number(&self.usage)?;
        // The kernel reclaims unused file cache before it kills a process.
        if used * 10 > limit * 7 {
            used = used.saturating_sub(self.stat.as_ref().and_then(inactive_files).unwrap_or(0));
        }
        Some(Usage { used, limit })
    }
}

/// The number at the start of a file.
fn number(file: &File) -> Option<u64> {
    let mut buffer = [0; 32];
    let length = file.read_at(&mut buffer, 0).ok()?;
    leading(&buffer[..length])
}

fn leading(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let mut digits = digits.peekable();
    digits.peek()?;
    digits.try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// `total_inactive_file` of version 1, which includes descendants, or `inactive_file` of version 2.
fn inactive_files(stat: &File) -> Option<u64> {
    let mut buffer = [0; 8_192];
    let length = stat.read_at(&mut buffer, 0).ok()?;
    let value = |name: &[u8]| {
        let mut lines = buffer[..length].split(|byte| *byte == b'\n');
        lines.find_map(|line| leading(line.strip_prefix(name)?))
    };
    value(b"total_inactive_file ").or_else(|| value(b"inactive_file "))
}

/// The folders of the control groups of this process and of their ancestors, from `/proc/self/mountinfo`
/// and `/proc/self/cgroup`; see proc(5) and cgroups(7) for the formats.
fn folders(mounts: &str, groups: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for mount in mounts.lines() {
        let Some((point, kind)) = mount.split_once(" - ") else {
            continue;
        };
        let (point, kind): (Vec<_>, Vec<_>) =
            (point.split(' ').collect(), kind.split(' ').collect());
        let ([_, _, _, root, at, ..], [kind, _, options, ..]) = (&point[..], &kind[..]) else {
            continue;
        };
        let is_ours = match *kind {
            "cgroup2" => |controllers: &str| controllers.is_empty(),
            "cgroup" if options.split(',').any(|option| option == "memory") => {
                |controllers: &str| controllers.split(',').any(|name| name == "memory")
            }
            _ => continue,
        };
        let group = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            is_ours(controllers).then_some(path)
        });
        // In a container the path may be relative to the host's root.
        let group = group.unwrap_or("/");
        let inside = group.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
        let at = Path::new(at);
        let mut folder = at.join(inside.trim_start_matches('/'));
        while folder.starts_with(at) {
            folders.push(folder.clone());
            if !folder.pop() {
                break;
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_of_both_versions_are_found_with_their_ancestors() {
        let v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "41 31 0:38 /pod/a /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let check = |mounts: &str, groups: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(folders(mounts, groups), expected, "{mounts} {groups}");
        };
        let memory = "/sys/fs/cgroup/memory";
        check(
            v1,
            "4:memory:/a/b\n0::/\n",
            &[&format!("{memory}/a/b"), &format!("{memory}/a"), memory],
        );
        check(v1, "3:cpu:/x\n", &[memory]);
        check(
            v2,
            "0::/pod/a/inner\n",
            &["/sys/fs/cgroup/inner", "/sys/fs/cgroup"],
        );
        check(v2, "0::/other\n", &["/sys/fs/cgroup"]);
        check("", "", &[]);
    }

    #[test]
    fn leading_number_is_parsed_and_anything_else_is_rejected() {
        assert_eq!(leading(b"123456\n"), Some(123_456));
        assert_eq!(leading(b"max\n"), None);
        assert_eq!(leading(b""), None);
        assert_eq!(leading(b"99999999999999999999"), None);
    }
}
