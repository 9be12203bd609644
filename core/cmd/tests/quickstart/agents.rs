//! Programs in other languages with their own agents.

use crate::running::{Running, Sandbox};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the workspace is two folders up")
        .to_owned()
}

/// The folder in which `make test` installs tools.
fn dev() -> PathBuf {
    std::env::var_os("DEV_FOLDER").map_or_else(|| root().join(".dev"), PathBuf::from)
}

fn run(mut command: Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Waits until the function is in the CPU profile of the service, with the label of the program.
fn appears(running: &Running, service: &str, function: &str) {
    let path = format!(
        "/api/v1/profiles/folded?type=process_cpu:cpu:nanoseconds:cpu:nanoseconds&selector={{service_name=\"{service}\",language=~\".+\"}}&from=now-10m"
    );
    running.until(&format!("{function} of {service}"), || {
        running.get(&path).text().contains(function).then_some(())
    });
    let services = running.json("/api/v1/profiles/labels?name=service_name&from=now-10m");
    assert!(
        services
            .as_array()
            .expect("an array")
            .iter()
            .any(|name| name == service),
        "{services}"
    );
}

#[test]
fn python_program_with_pyroscope_io_is_profiled() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let mut program = Command::new(dev().join("tools/bin/python"));
    program
        .arg(root().join("core/cmd/tests/agents/program.py"))
        .arg(&running.archive);
    run(program);
    appears(&running, "python-program", "busy");
}

#[test]
fn go_program_with_pyroscope_go_is_profiled() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let mut program = Command::new("go");
    program
        .args(["run", ".", &running.archive])
        .current_dir(root().join("core/cmd/tests/agents/go"));
    run(program);
    appears(&running, "go-program", "main.busy");
}
