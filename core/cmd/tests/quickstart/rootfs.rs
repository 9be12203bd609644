//! A small root file system made of programs of this machine, for containers.

use std::path::Path;
use std::process::Command;

const PROGRAMS: [&str; 6] = ["sh", "cat", "head", "sleep", "tr", "stty"];

/// Whether `runc` can run containers here; the test is skipped if not.
pub(crate) fn is_runc_usable() -> bool {
    let has_runc = Command::new("runc").arg("--version").output();
    if has_runc.is_err() {
        davy_test_support::skip("runc is not installed");
        return false;
    }
    let unshared = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "true"])
        .status();
    if !unshared.is_ok_and(|status| status.success()) {
        davy_test_support::skip("namespaces are not permitted");
        return false;
    }
    true
}

/// Copies a shell and a few programs with the libraries that they load.
pub(crate) fn write(folder: &Path) {
    let copy = |from: &str, to: &Path| {
        std::fs::create_dir_all(to.parent().expect("it is in the folder")).expect("writable");
        std::fs::copy(from, to).expect("readable");
    };
    for program in PROGRAMS {
        let path = format!("/bin/{program}");
        let path = if Path::new(&path).exists() {
            path
        } else {
            format!("/usr/bin/{program}")
        };
        copy(&path, &folder.join("bin").join(program));
        let listed = Command::new("ldd").arg(&path).output().expect("ldd");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for library in listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            copy(library, &folder.join(library.trim_start_matches('/')));
        }
    }
}
