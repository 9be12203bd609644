//! Runs commands of this program, as an operator would.

use crate::failure::Failure;
use std::process::Command;

/// A command of this program without the `DAVY_` variables of the environment.
pub(super) fn davy() -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(Failure::because(
        "cannot find the executable of this process",
    ))?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name.starts_with("DAVY_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Runs a command to its end and returns its standard output.
pub(super) fn run(arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let name = format!("davy {}", arguments.join(" "));
    let output = davy()?.args(arguments).output();
    let output = output.map_err(Failure::because(format!("cannot run {name}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::failed(format!("{name} failed: {stderr}")))
}
