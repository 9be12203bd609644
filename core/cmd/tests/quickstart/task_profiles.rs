//! Tasks that are sampled from outside while they run.

use crate::rootfs;
use crate::running::{Running, Sandbox};
use crate::workers::{PROCESS, RUNC, run, start_with, text, write_task};
use std::path::Path;
use std::process::Command;

/// Uses a second of CPU time in a function with a name that nothing else has.
const PROGRAM: &str = r"
#include <time.h>
static volatile unsigned long kept;
__attribute__((noinline, noclone)) static void burns_for_the_build(void) {
    for (int i = 0; i < 1000000; i++) kept += i;
}
int main(void) {
    while (clock() < CLOCKS_PER_SEC) burns_for_the_build();
    return 0;
}
";

fn build_program(to: &Path) {
    let source = to.with_extension("c");
    std::fs::write(&source, PROGRAM).expect("writable");
    let built = Command::new("cc")
        .args(["-O1", "-o"])
        .args([to, &source])
        .status();
    assert!(built.expect("run cc").success());
}

/// The folded stacks of a build.
fn stacks(build: u32, running: &Running, sandbox: &Sandbox) -> String {
    let selector =
        format!("{{service_name=\"build\",build=\"{build}\",worker=\"w\",member=\"worker.task\"}}");
    let queried = run(
        &[
            "query",
            "cpu",
            "--selector",
            &selector,
            "--from",
            "now-1h",
            "--format",
            "folded",
        ],
        running,
        sandbox,
    );
    text(&queried.stdout)
}

/// Runs a task that is profiled and one that is not; checks what the archive has of them.
fn check(driver: &[&str], program: &str, prepare: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let running = sandbox.start_quiet(&[]);
    let _worker = start_with("w", driver, &running, &sandbox);
    let task = |profile: bool, path: &str| {
        write_task(
            &sandbox,
            &format!("profile: {profile}\nrun: {{path: sh, args: [-c, '{path}; echo over']}}\n"),
        );
        let executed = run(&["execute", "-c", "task.yml"], &running, &sandbox);
        let stdout = text(&executed.stdout);
        assert_eq!(
            executed.status.code(),
            Some(0),
            "{}",
            text(&executed.stderr)
        );
        assert!(stdout.contains("over\n"), "{stdout}");
        stdout
    };
    let log = task(true, program);
    if let Some((_, reason)) = log.split_once("not profiled: ") {
        return davy_test_support::skip(reason.lines().next().unwrap_or_default());
    }
    task(false, program);
    let found = running.until("the stacks of a build", || {
        let stacks = stacks(1, &running, &sandbox);
        stacks.contains("burns_for_the_build").then_some(stacks)
    });
    let nanos = |wanted: &str| -> u64 {
        let lines = found.lines().filter(|line| line.contains(wanted));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        values.sum()
    };
    let (named, all) = (nanos("main;burns_for_the_build"), nanos(""));
    assert!(
        named > all / 2 && named > 500_000_000,
        "{named} of {all}: {found}"
    );
    // The second build has nothing: it did not ask for it.
    assert!(!stacks(2, &running, &sandbox).contains("burns_for_the_build"));
}

#[test]
fn task_in_a_container_that_asks_for_it_has_a_flame_graph_under_the_label_of_its_build() {
    if !rootfs::is_runc_usable() {
        return;
    }
    check(RUNC, "burn", |sandbox| {
        let image = sandbox.path().join("images/base");
        rootfs::write(&image);
        build_program(&image.join("bin/burn"));
    });
}

#[test]
fn task_of_the_driver_process_that_asks_for_it_has_a_flame_graph_under_the_label_of_its_build() {
    check(PROCESS, "../../../burn", |sandbox| {
        std::fs::create_dir_all(sandbox.path().join("work-w")).expect("writable");
        build_program(&sandbox.path().join("work-w/burn"));
    });
}

#[test]
fn task_that_cannot_be_profiled_says_why_and_runs() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    // An archive that does not exist.
    let driver = [PROCESS, &["--profiler-archive", "http://127.0.0.1:1"]].concat();
    let _worker = start_with("w", &driver, &running, &sandbox);
    write_task(
        &sandbox,
        "profile: true\nrun: {path: echo, args: [works]}\n",
    );
    let executed = run(&["execute", "-c", "task.yml"], &running, &sandbox);
    assert_eq!(
        executed.status.code(),
        Some(0),
        "{}",
        text(&executed.stderr)
    );
    let stdout = text(&executed.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(
        lines[0].starts_with("davy: this task is not profiled: "),
        "{stdout}"
    );
    assert_eq!(lines[1], "works");
}
