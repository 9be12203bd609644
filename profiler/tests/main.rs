//! `#[davy_profiler::main]` in a program of its own: this test, started as a child.

mod archiver;
mod work;

use archiver::Archiver;
use std::process::{Command, Output};
use work::sum;

mod program {
    use std::time::Duration;

    #[davy_profiler::main(jemalloc)]
    async fn main() -> Result<(), std::num::ParseIntError> {
        super::work::burn(Duration::from_millis(300));
        let child = davy_tag::spawn(async { davy_tag::current().op() });
        println!(
            "spawned with the operation {}",
            child.await.expect("no panic")
        );
        let request = async { super::work::burn(Duration::from_millis(300)) };
        davy_tag::tagged("shop", "list", request).await;
        "no number".parse::<u32>()?;
        Ok(())
    }

    pub(super) fn run() {
        println!("returned {:?}", main());
    }
}

#[test]
#[ignore = "started by the other tests"]
fn program_child() {
    program::run();
}

fn run(environment: &[(&str, &str)]) -> Output {
    let own = std::env::current_exe().expect("this test");
    let mut command = Command::new(own);
    command.args(["--exact", "program_child", "--ignored", "--nocapture"]);
    command
        .env_remove("DAVY_ARCHIVER")
        .env_remove("DAVY_SERVICE");
    let output = command.envs(environment.iter().copied()).output();
    output.expect("the program ran")
}

#[track_caller]
fn assert_ran(output: &Output, op: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("spawned with the operation {op}\n")),
        "{text}"
    );
    // The result of the main function is that of the program.
    assert!(text.contains("returned Err(ParseIntError"), "{text}");
}

#[test]
fn program_with_the_attribute_delivers_its_last_window_when_main_returns() {
    let archiver = Archiver::start();
    let output = run(&[
        ("DAVY_ARCHIVER", &archiver.url()),
        ("DAVY_SERVICE", "store"),
    ]);
    assert_ran(&output, "main");
    let pushes = archiver.all();
    assert!(pushes.iter().any(|push| push.label("__name__") == "memory"));
    let is_cpu = |push: &&archiver::Push| push.label("__name__") == "process_cpu";
    let cpu: Vec<_> = pushes.iter().filter(is_cpu).collect();
    assert!(cpu.iter().all(|push| push.label("service_name") == "store"));
    for tag in [("store", "main"), ("shop", "list")] {
        let of_tag = |member: &str, op: &str| (member, op) == tag;
        let nanos: i64 = cpu
            .iter()
            .map(|push| sum(&push.profile, "cpu", of_tag))
            .sum();
        let millis = nanos / 1_000_000;
        assert!((280..400).contains(&millis), "{tag:?}: {millis} ms");
    }
}

#[test]
fn program_runs_without_profiles_and_says_why_if_the_profiler_cannot_start() {
    let output = run(&[
        ("DAVY_ARCHIVER", "ftp://nowhere"),
        ("DAVY_SERVICE", "store"),
    ]);
    assert_ran(&output, "main");
    let errors = String::from_utf8_lossy(&output.stderr);
    let expected = "davy-profiler: profiling disabled: ";
    assert!(
        errors.contains(expected) && errors.contains("ftp://nowhere"),
        "{errors}"
    );
}

#[test]
fn program_runs_without_a_profiler_if_no_archiver_is_set() {
    let output = run(&[("DAVY_SERVICE", "store")]);
    assert_ran(&output, "main");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("davy-profiler"), "{errors}");
}
