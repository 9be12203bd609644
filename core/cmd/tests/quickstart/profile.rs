//! `davy profile` against a running Davy, in a pipe.

use crate::running::{Running, Sandbox, davy};
use std::process::Output;

fn profile(running: &Running, sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = davy();
    command
        .arg("profile")
        .args(arguments)
        .env("DAVY_SERVER", &running.page)
        .current_dir(sandbox.path());
    command.output().expect("run the binary")
}

#[test]
fn profile_is_text_by_default_and_any_format_on_request() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&[]);
    let check = |arguments: &[&str], expected: &[u8]| {
        let output = profile(&running, &sandbox, &[&["heap"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        let file = arguments.iter().position(|argument| *argument == "-o");
        let written = file.map_or(output.stdout, |at| {
            std::fs::read(sandbox.path().join(arguments[at + 1])).expect("read the output file")
        });
        let begin = String::from_utf8_lossy(&written[..written.len().min(80)]).into_owned();
        assert!(written.starts_with(expected), "{arguments:?}: {begin}");
    };
    check(&[], b"total ");
    check(&["--format", "top"], b"total ");
    check(&["--format", "pprof"], &[0x1f, 0x8b]);
    check(&["--format", "svg"], b"<?xml");
    check(&["--format", "json"], b"{\"name\":\"total\"");
    check(&["-o", "heap.txt"], b"total ");
    check(&["-o", "heap.svg"], b"<?xml");
    check(&["-o", "heap.pb.gz"], &[0x1f, 0x8b]);
    check(&["-o", "heap.svg", "--format", "pprof"], &[0x1f, 0x8b]);

    let unknown = profile(&running, &sandbox, &["heap", "--member", "nope"]);
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(2), "{error}");
    assert!(
        error.contains("no process hosts member nope; hosted members: api, "),
        "{error}"
    );

    let refused = profile(&running, &sandbox, &["heap", "-o", "heap.png"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(
        error.contains("expected one of the suffixes .txt, .folded"),
        "{error}"
    );
}
