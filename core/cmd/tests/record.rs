//! `davy record` as a user runs it. Where the kernel forbids it there is nothing to show.

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

const BURN: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; ";

#[test]
fn a_command_keeps_its_input_output_and_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!("{BURN} cat; echo trouble >&2; exit 3");
    for file in ["a.svg", "a.folded", "a.pb.gz", "a.txt", "a.json"] {
        let arguments = ["--hz", "997", "-o", file, "--", "sh", "-c", &script];
        let mut child = record(folder.path(), &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut input = child.stdin.take().expect("a pipe");
        // It may have ended before, where the kernel forbids it.
        let _ = input.write_all(b"what came in");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        if is_forbidden(&output) {
            return;
        }
        let errors = text(&output.stderr);
        assert_eq!(text(&output.stdout), "what came in", "{errors}");
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("trouble\n"), "{errors}");
        assert!(
            errors.contains("the command ended with exit code 3"),
            "{errors}"
        );
        let written = std::fs::read(folder.path().join(file)).expect("it was written");
        let expected: &[u8] = match file {
            "a.svg" => b"<?xml",
            "a.folded" => b"_start;",
            "a.txt" => b"total ",
            "a.json" => b"{\"name\":\"total\"",
            _ => &[0x1f, 0x8b],
        };
        // A shell without symbols has another root.
        let is_expected = written.starts_with(expected) || file == "a.folded";
        assert!(
            is_expected && !written.is_empty(),
            "{file}: {}",
            text(&written)
        );
    }
}

#[test]
fn a_process_is_shown_as_text_also_in_a_pipe_and_as_what_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::process::id().to_string();
    let check = |more: &[&str], expected: &[u8]| {
        let arguments = [&["--pid", &own, "--seconds", "1"], more].concat();
        let output = record(folder.path(), &arguments).output().expect("it runs");
        if is_forbidden(&output) {
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
fn what_a_command_writes_and_the_profile_mix_only_if_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--format", "text", "--", "echo", "what it says"];
    let output = record(folder.path(), &arguments).output().expect("it runs");
    if is_forbidden(&output) {
        return;
    }
    let said = text(&output.stdout);
    assert!(said.starts_with("what it says\ntotal "), "{said}");
}

#[test]
fn what_cannot_succeed_fails_before_the_command_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = ["--", "sh", "-c", "echo it ran; touch ran"];
    let check = |arguments: &[&str], command: &[&str], code: i32, expected: &str| {
        let arguments = [arguments, command].concat();
        let output = record(folder.path(), &arguments).output().expect("it runs");
        let errors = text(&output.stderr);
        assert_eq!(text(&output.stdout), "");
        assert!(!folder.path().join("ran").exists(), "{arguments:?}");
        if is_forbidden(&output) {
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
        "can't write to none/a.svg",
    );
    let folder_of_that_name = ["-o", ".", "--format", "folded"];
    check(&folder_of_that_name, &command, 1, "can't write to .: ");
    check(&["-o", "a.png"], &command, 2, "end it in .txt, .folded");
    check(&[], &command, 2, "name a file with -o");
    let nobody = ["--push", "--server", "http://127.0.0.1:1"];
    check(&nobody, &command, 1, "no answer from http://127.0.0.1:1");
    check(&["-o", "a.pb", "--hz", "0"], &command, 2, "at least 1");
    check(
        &["-o", "a.pb", "--stack-bytes", "7"],
        &command,
        2,
        "at least 1024",
    );
    check(&["-o", "a.pb"], &["--", "/"], 126, "/ can't be started");
    check(&[], &[], 2, "`davy record -- COMMAND`");
    check(
        &["-o", "a.pb"],
        &["--", "no-such-command"],
        127,
        "no-such-command can't be started",
    );
    check(
        &["-o", "a.pb", "--pid", "4194305"],
        &[],
        1,
        "there is no process 4194305",
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_interruption_ends_the_recording_and_not_what_it_brought() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = std::process::id().to_string();
    for (signal, name) in [(libc::SIGINT, "int.folded"), (libc::SIGTERM, "term.folded")] {
        let arguments = ["--pid", &own, "--seconds", "600", "-o", name];
        let child = record(folder.path(), &arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let pid = child.id();
        // Until it watches for the signal, or has ended: the mask of what it catches is in its status.
        let watches = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            status.contains("(zombie)") || caught.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
        };
        while !watches() {
            std::hint::black_box((0..1_000_000_u64).sum::<u64>());
        }
        // SAFETY: the child is not waited for yet, so its number is still its own.
        unsafe { libc::kill(pid as libc::pid_t, signal) };
        let output = child.wait_with_output().expect("it ends");
        if is_forbidden(&output) {
            return;
        }
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(errors.contains(" samples, "), "{errors}");
        assert!(folder.path().join(name).exists(), "{errors}");
    }
}
