//! `davy doctor`: checks what Davy needs, and says what to change.

mod disk;
mod finding;
mod kernel;
mod network;
mod storage;

use crate::config::{Config, Flags, Loaded};
use crate::failure::Failure;
use crate::process;
use crate::server::Server;
use crate::stdout::print;
use davy_base::Clock;
use finding::{Finding, Findings, Outcome};
use serde_json::json;

/// Options of `davy doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    flags: Flags,
}

/// Runs all checks. Fails if one of them does.
pub(crate) fn run(options: &DoctorOptions) -> Result<(), Failure> {
    let mut findings = Findings::default();
    match configuration(&options.flags) {
        Ok((config, has_limits)) => {
            findings.add(Finding::ok("configuration", "the configuration is valid"));
            let clock = Clock::system();
            kernel::check(&config, has_limits, &mut findings);
            disk::check(&config, &mut findings);
            network::check(&config, &options.server, &clock, &mut findings);
            storage::check(&config, &clock, &mut findings)?;
        }
        Err(failure) => findings.add(Finding::failed("configuration", failure.report()).advise(
            "correct the setting; `davy config show` prints every setting and where it is set",
        )),
    }
    let failed = findings.count(Outcome::Failed);
    if options.json {
        let json = json!({ "failed": failed, "findings": findings.all() });
        print(&format!("{json:#}\n"))?;
    } else {
        print(&findings.text())?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::failed(format!(
            "{} failed",
            davy_profile::units::count(failed, "check", "checks")
        ))),
    }
}

/// The configuration, and whether it limits an isolated member.
fn configuration(flags: &Flags) -> Result<(Config, bool), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let config = Config::new(&loaded)?;
    crate::bucket::check(&config.bucket)?;
    process::check_database(&config)?;
    process::check(&loaded)?;
    Ok((config, process::has_limits(&loaded)))
}
