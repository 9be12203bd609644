//! `davy record`. Skipped where the kernel does not allow sampling.

use davy_test_support::skip;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn record(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command.arg("record").args(arguments).current_dir(folder);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_forbidden(output: &Output) -> bool {
    text(&output.stderr).contains("the kernel does not allow")
}

/// Why a test is skipped.
const NOT_ALLOWED: &str = "the kernel does not allow sampling";

const BURN: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; ";

#[test]
fn command_keeps_its_input_output_and_exit_code() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let script = format!("{BURN} cat; echo trouble >&2; exit 3");
    for file in ["a.svg", "a.folded", "a.pb.gz", "a.txt", "a.json"] {
        let arguments = ["--hz", "997", "-o", file, "--", "sh", "-c", &script];
        let mut child = record(folder.path(), &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        let mut input = child.stdin.take().expect("piped standard input");
        // Where the kernel does not allow sampling, it may have exited already.
        let _ = input.write_all(b"what came in");
        drop(input);
        let output = child.wait_with_output().expect("the process exits");
        if is_forbidden(&output) {
            skip(NOT_ALLOWED);
            return;
        }
        let errors = text(&output.stderr);
        assert_eq!(text(&output.stdout), "what came in", "{errors}");
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("trouble\n"), "{errors}");
        assert!(
            errors.contains("the command exited with code 3"),
            "{errors}"
        );
        let written = std::fs::read(folder.path().join(file)).expect("read the output file");
        let expected: &[u8] = match file {
            "a.svg" => b"<?xml",
            "a.folded" => b"_start;",
            "a.txt" => b"total ",
            "a.json" => b"{\"name\":\"total\"",
            _ => &[0x1f, 0x8b],
        };
        // The root frame of a shell without symbols has another name.
        let is_expected = written.starts_with(expected) || file == "a.folded";
        assert!(
            is_expected && !written.is_empty(),
            "{file}: {}",
            text(&written)
        );
    }
}

#[test]
fn process_is_shown_as_text_in_a_pipe() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let own = std::process::id().to_string();
    let check = |more: &[&str], expected: &[u8]| {
        let arguments = [&["--pid", &own, "--seconds", "1"], more].concat();
        let output = record(folder.path(), &arguments)
            .output()
            .expect("run the binary");
        if is_forbidden(&output) {
            skip(NOT_ALLOWED);
            return;
        }
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(
            output.stdout.starts_with(expected),
            "{more:?}: {}",
            text(&output.stdout)
        );
    };
    check(&[], b"total ");
    check(&["--format", "pprof"], &[0x1f, 0x8b]);
}

#[test]
fn profile_of_a_command_is_text_in_a_pipe() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    for format in [&[][..], &["--format", "text"]] {
        let arguments = [format, &["--", "echo", "hello"]].concat();
        let output = record(folder.path(), &arguments)
            .output()
            .expect("run the binary");
        if is_forbidden(&output) {
            skip(NOT_ALLOWED);
            return;
        }
        let stdout = text(&output.stdout);
        assert!(stdout.starts_with("hello\ntotal "), "{stdout}");
    }
}

#[test]
fn invalid_output_fails_before_the_command_starts() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let command = ["--", "sh", "-c", "echo it ran; touch ran"];
    let check = |arguments: &[&str], command: &[&str], code: i32, expected: &str| {
        let arguments = [arguments, command].concat();
        let output = record(folder.path(), &arguments)
            .output()
            .expect("run the binary");
        let errors = text(&output.stderr);
        assert_eq!(text(&output.stdout), "");
        assert!(!folder.path().join("ran").exists(), "{arguments:?}");
        if is_forbidden(&output) {
            skip(NOT_ALLOWED);
            return;
        }
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    };
    check(
        &["-o", "none/a.svg"],
        &command,
        1,
        "cannot write none/a.svg",
    );
    let existing_folder = ["-o", ".", "--format", "folded"];
    check(&existing_folder, &command, 1, "cannot write .: ");
    check(
        &["-o", "a.png"],
        &command,
        2,
        "expected one of the suffixes .txt, .folded",
    );
    let unreachable = ["--push", "--server", "http://127.0.0.1:1"];
    check(
        &unreachable,
        &command,
        1,
        "cannot connect to http://127.0.0.1:1",
    );
    check(
        &["-o", "a.pb", "--hz", "0"],
        &command,
        2,
        "expected 1 to 10000",
    );
    check(
        &["-o", "a.pb", "--stack-bytes", "7"],
        &command,
        2,
        "expected 1024 B to 65000 B",
    );
    check(&["-o", "a.pb"], &["--", "/"], 126, "cannot start /");
    check(&[], &[], 2, "`davy record -- COMMAND`");
    check(
        &[],
        &["--", "no-such-command"],
        127,
        "cannot start no-such-command",
    );
    check(
        &["-o", "a.pb", "--pid", "4194305"],
        &[],
        1,
        "process 4194305 not found",
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn interruption_ends_the_recording_and_keeps_the_profile() {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let own = std::process::id().to_string();
    for (signal, name) in [(libc::SIGINT, "int.folded"), (libc::SIGTERM, "term.folded")] {
        let arguments = ["--pid", &own, "--seconds", "600", "-o", name];
        let child = record(folder.path(), &arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("run the binary");
        let pid = child.id();
        // Waits until it handles the signal or has exited. /proc has the mask of handled signals.
        let watches = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            status.contains("(zombie)") || caught.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
        };
        while !watches() {
            std::hint::black_box((0..1_000_000_u64).sum::<u64>());
        }
        // SAFETY: kill takes two integers; the child has not been waited for, so its pid is its own.
        unsafe { libc::kill(pid as libc::pid_t, signal) };
        let output = child.wait_with_output().expect("the process exits");
        if is_forbidden(&output) {
            skip(NOT_ALLOWED);
            return;
        }
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(errors.contains(" samples, "), "{errors}");
        assert!(folder.path().join(name).exists(), "{errors}");
    }
}
