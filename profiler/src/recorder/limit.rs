//! How much of its memory a process may still take: by control groups (version 2 and 1) and by
//! `RLIMIT_AS`. Reading allocates nothing; every file is open from the beginning.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is used of a limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Use {
    pub(super) fn percent(self) -> u64 {
        self.used.saturating_mul(100) / self.limit.max(1)
    }

    pub(super) fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Every limit that holds for this process.
#[derive(Debug)]
pub(super) struct Limits {
    groups: Vec<Group>,
    statm: Option<File>,
    page: u64,
}

/// A control group with files for what it uses, may use, and could give back.
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
        // SAFETY: asks for a number.
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

    /// The limit that is nearest to being reached; none where there are none.
    pub(super) fn nearest(&self) -> Option<Use> {
        let groups = self.groups.iter().filter_map(Group::read);
        groups
            .chain(self.address_space())
            .max_by_key(|use_| use_.percent())
    }

    fn address_space(&self) -> Option<Use> {
        let mut limit = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the limit lives through the call.
        unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
        if limit.rlim_cur == libc::RLIM_INFINITY {
            return None;
        }
        Some(Use {
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

    fn read(&self) -> Option<Use> {
        // Version 2 writes `max`, version 1 a number beyond all memory.
        let limit = number(&self.limit).filter(|limit| *limit < 1 << 60)?;
        let mut used = number(&self.usage)?;
        // Cached files that nobody uses are given back before anybody is killed.
        if used * 10 > limit * 7 {
            used = used.saturating_sub(self.stat.as_ref().and_then(inactive_files).unwrap_or(0));
        }
        Some(Use { used, limit })
    }
}

/// The number that a file begins with.
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

/// `total_inactive_file` of version 1, which is of the whole tree, or `inactive_file` of version 2.
fn inactive_files(stat: &File) -> Option<u64> {
    let mut buffer = [0; 8_192];
    let length = stat.read_at(&mut buffer, 0).ok()?;
    let value = |name: &[u8]| {
        let mut lines = buffer[..length].split(|byte| *byte == b'\n');
        lines.find_map(|line| leading(line.strip_prefix(name)?))
    };
    value(b"total_inactive_file ").or_else(|| value(b"inactive_file "))
}

/// The folders of the groups that this process is in and of those around them, from
/// `/proc/self/mountinfo` and `/proc/self/cgroup`; proc(5) and cgroups(7) tell the formats.
fn folders(mounts: &str, groups: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for mount in mounts.lines() {
        let Some((place, kind)) = mount.split_once(" - ") else {
            continue;
        };
        let (place, kind): (Vec<_>, Vec<_>) =
            (place.split(' ').collect(), kind.split(' ').collect());
        let ([_, _, _, root, at, ..], [kind, _, options, ..]) = (&place[..], &kind[..]) else {
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
        // In a container the path may be told as the host sees it.
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
    fn groups_are_found_with_those_around_them_in_both_versions() {
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
        check(v2, "0::/elsewhere\n", &["/sys/fs/cgroup"]);
        check("", "", &[]);
    }

    #[test]
    fn numbers_are_read_and_what_is_none_is_none() {
        assert_eq!(leading(b"123456\n"), Some(123_456));
        assert_eq!(leading(b"max\n"), None);
        assert_eq!(leading(b""), None);
        assert_eq!(leading(b"99999999999999999999"), None);
    }
}
