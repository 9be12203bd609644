//! Disabling the API that changes toggles, and enabling it again through the debug port.

use crate::running::{Running, Sandbox, davy};
use std::process::{Command, Output};

fn run(command: &mut Command, running: &Running, sandbox: &Sandbox) -> Output {
    let command = command.env("DAVY_SERVER", &running.page);
    let command = command.current_dir(sandbox.path());
    command.output().expect("run the binary")
}

/// The arguments of the command that a message suggests.
fn suggested(sentence: &str) -> Vec<String> {
    let command = sentence.split('`').nth(1).unwrap_or_default();
    command.split(' ').skip(1).map(str::to_owned).collect()
}

#[test]
fn disabling_the_api_suggests_the_command_that_enables_it() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for (what, name) in [
        ("member", "api"),
        ("endpoint", "ToggleEndpoint"),
        ("endpoint", "ToggleMember"),
    ] {
        let disable = [what, "disable", name, "--why", "too late at night"];
        let output = run(davy().args(disable), &running, &sandbox);
        let response = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        let enable = suggested(&response);
        let expected = [what, "enable", name, "--server", &running.debug];
        assert_eq!(enable, expected, "{response}");

        if name != "ToggleMember" {
            let output = run(davy().args([what, "enable", name]), &running, &sandbox);
            let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{refusal}");
            assert!(refusal.contains("too late at night; "), "{refusal}");
            assert_eq!(suggested(&refusal), expected, "{refusal}");
        }
        if name == "api" {
            let output = run(davy().arg("members"), &running, &sandbox);
            let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(suggested(&refusal), expected, "{refusal}");
        }

        let output = run(davy().args(&enable), &running, &sandbox);
        assert!(output.status.success(), "{output:?}");
        running.until("the enabled API", || {
            let enable = run(davy().args([what, "enable", name]), &running, &sandbox);
            enable.status.success().then_some(())
        });
    }
}

#[test]
fn audit_names_the_user_without_environment_variables() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let own_name = Command::new("id").arg("-un").output().expect("id runs");
    let own_name = String::from_utf8_lossy(&own_name.stdout).trim().to_owned();
    let mut disable = davy();
    disable.args(["endpoint", "disable", "QuerySvg"]);
    for name in ["USER", "SUDO_USER", "LOGNAME"] {
        disable.env_remove(name);
    }
    let output = run(&mut disable, &running, &sandbox);
    assert!(output.status.success(), "{output:?}");
    let audit = run(davy().arg("audit"), &running, &sandbox);
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.contains(&format!(" {own_name}@")), "{audit}");

    let mut enable = davy();
    let enable = enable.env("USER", "root").env("SUDO_USER", "ann");
    let output = run(
        enable.args(["endpoint", "enable", "QuerySvg"]),
        &running,
        &sandbox,
    );
    assert!(output.status.success(), "{output:?}");
    let audit = run(davy().arg("audit"), &running, &sandbox);
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.contains(" ann@"), "{audit}");
}

#[test]
fn debug_port_of_each_process_is_listed() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    let output = run(davy().arg("members"), &running, &sandbox);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let address = running.debug.trim_start_matches("http://");
    let first = table.lines().next().unwrap_or_default();
    assert!(first.ends_with(&format!(", debug {address}")), "{table}");
}

#[test]
fn disabled_endpoint_says_so_before_it_checks_parameters() {
    let sandbox = Sandbox::new();
    let running = sandbox.start_quiet(&[]);
    for (operation, path) in [
        ("ListAudit", "/api/v1/audit?limti=5"),
        ("QueryTop", "/api/v1/profiles/top?selctor=x"),
    ] {
        let status = |expected: u16| {
            running.until("the toggle", || {
                (running.get(path).status == expected).then_some(())
            });
        };
        status(400);
        for (action, expected) in [("disable", 503), ("enable", 400)] {
            let toggle = ["endpoint", action, operation, "--why", "test"];
            let output = run(davy().args(toggle), &running, &sandbox);
            assert!(output.status.success(), "{output:?}");
            status(expected);
        }
    }
}
