//! `davy config show` and `davy config check`.

use crate::config::{Config, Flags, Loaded, Setting, Source, find_setting};
use crate::failure::Failure;
use crate::stdout::print;
use crate::{bucket, logs, process};

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its value and its source
    Show(Flags),
    /// Check the configuration; exits with 2 if it is invalid
    Check(Flags),
}

/// Runs the command.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(flags) => show(flags),
        ConfigCommand::Check(flags) => check(flags),
    }
}

fn check(flags: &Flags) -> Result<(), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let config = Config::new(&loaded)?;
    bucket::check(&config.bucket)?;
    process::check_database(&config)?;
    logs::check(&config.log_level)?;
    process::check(&loaded)?;
    print("the configuration is valid\n")
}

fn show(flags: &Flags) -> Result<(), Failure> {
    let loaded = Loaded::from_environment(flags)?;
    let mut lines = String::new();
    for (key, value, source) in loaded.iter() {
        let is_one_of_many = find_setting(key).is_some_and(|setting| setting.one_of_many);
        if is_one_of_many && *source == Source::Default {
            continue;
        }
        let is_secret = find_setting(key).is_some_and(Setting::is_secret) && !value.is_empty();
        let value = match key {
            _ if is_secret => "(secret)".to_owned(),
            "database" | "arclamp.redis" => davy_store::without_password(value),
            _ => value.to_owned(),
        };
        lines.push_str(&format!("{key} = {value:?}  # {source}\n"));
    }
    print(&lines)?;
    Config::new(&loaded)?;
    Ok(())
}
