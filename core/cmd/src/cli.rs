//! The command line.

use crate::{config, drill, members, process, profile, push, query, record, toggle, top};
use clap::{Parser, Subcommand};
use std::io::{ErrorKind, Write as _};

/// Profiles live systems and keeps their flame graphs.
#[derive(Debug, Parser)]
#[command(
    name = "davy",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process, on a folder and a file: page, API, archive, and a profile of itself
    Quickstart {
        /// Each kind of process as a child of its own
        #[arg(long)]
        split: bool,
        #[command(flatten)]
        flags: config::Flags,
    },
    /// Frontend and backend in one process
    Web(config::Flags),
    /// Page, API and queries
    Frontend(config::Flags),
    /// The work behind them
    Backend(config::Flags),
    /// Ingestion, compaction and queries
    Archiver(config::Flags),
    /// A process that davy.toml defines: [process.NAME] members = [...]
    Run {
        /// Its name
        process: String,
        #[command(flatten)]
        flags: config::Flags,
    },
    #[command(hide = true)]
    Child {
        #[command(flatten)]
        parent: process::Parent,
        #[command(flatten)]
        flags: config::Flags,
    },
    /// Every member of every process: state, restarts, CPU, heap
    Members(members::Options),
    /// Every endpoint: the member that serves it, its toggle, its requests
    Endpoints(members::Options),
    /// What members and operations cost, live
    Top(top::Options),
    /// Toggle a member on or off, restart it, or wake it
    #[command(subcommand)]
    Member(toggle::MemberCommand),
    /// Toggle an endpoint on or off, or limit it
    #[command(subcommand)]
    Endpoint(toggle::EndpointCommand),
    /// Who changed what, when and why
    Audit(toggle::AuditOptions),
    /// Play an incident against a real Davy and judge the answer; exit 1 if it fails
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Bring the database's tables up to date
    Migrate(config::Flags),
    /// A profile of a running process, now: a flame graph, or whatever --format or the file's name says
    Profile(profile::Options),
    /// Sample any program of this machine: `davy record -- COMMAND`, `davy record --pid N`
    Record(record::Options),
    /// Push profiles (pprof, packed or not, or folded stacks) into the archive
    Push(push::Options),
    /// Ask the archive: a flame graph as text, a table, pprof, folded stacks, SVG or JSON
    Query(query::Options),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting with its value and where it comes from
    Show(config::Flags),
    /// Whether the configuration can be used; exit 2 and one sentence if not
    Check(config::Flags),
}

/// The running Davy that a command asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Server {
    /// Address of the running Davy
    #[arg(
        long,
        env = "DAVY_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) server: String,
    /// Token to show it
    #[arg(long, env = "DAVY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Quickstart { split: true, flags } => process::run_split(&flags),
        Command::Quickstart { flags, .. } => process::run("quickstart", &flags),
        Command::Web(flags) => process::run("web", &flags),
        Command::Frontend(flags) => process::run("frontend", &flags),
        Command::Backend(flags) => process::run("backend", &flags),
        Command::Archiver(flags) => process::run("archiver", &flags),
        Command::Run { process, flags } => process::run(&process, &flags),
        Command::Child { parent, flags } => process::run_child(parent, &flags),
        Command::Members(options) => members::members(&options),
        Command::Endpoints(options) => members::endpoints(&options),
        Command::Top(options) => top::run(&options),
        Command::Member(command) => toggle::member(&command),
        Command::Endpoint(command) => toggle::endpoint(&command),
        Command::Audit(options) => toggle::audit(&options),
        Command::Drill(command) => drill::run(&command),
        Command::Migrate(flags) => process::migrate(&flags),
        Command::Profile(options) => profile::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Push(options) => push::run(&options),
        Command::Query(options) => query::run(&options),
        Command::Config(ConfigCommand::Show(flags)) => config_show(&flags),
        Command::Config(ConfigCommand::Check(flags)) => {
            let loaded = load(&flags)?;
            let config = config::Config::new(&loaded)?;
            crate::bucket::check(&config.bucket_url)?;
            crate::logs::check(&config.log_level)?;
            process::check(&loaded)?;
            print("the configuration can be used\n")
        }
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "davy", &mut script);
            print_bytes(&script)
        }
    }
}

/// The configuration of this process's surroundings.
pub(crate) fn load(flags: &config::Flags) -> Result<config::Loaded, Failure> {
    Ok(config::Loaded::read(flags, std::env::vars())?)
}

fn config_show(flags: &config::Flags) -> Result<(), Failure> {
    let loaded = load(flags)?;
    let mut lines = String::new();
    for (key, value, source) in loaded.iter() {
        let is_one_of_many = config::Setting::find(key).is_some_and(|setting| setting.one_of_many);
        if is_one_of_many && *source == config::Source::Default {
            continue;
        }
        let is_secret = key.ends_with("token") && !value.is_empty();
        let value = match key {
            _ if is_secret => "(secret)".to_owned(),
            "database" => davy_store::without_password(value),
            _ => value.to_owned(),
        };
        lines.push_str(&format!("{key} = {value:?}  # {source}\n"));
    }
    print(&lines)?;
    config::Config::new(&loaded)?;
    Ok(())
}

/// Prints an answer on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints an answer on standard output. A reader that has seen enough, as `head` has, is no fault.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result
            .map_err(|error| Failure::Failed(format!("can't write to standard output: {error}"))),
    }
}

/// Why a command ends with an exit code other than 0. One sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Wrong usage or configuration: exit 2.
    #[error("{0}")]
    Usage(String),
    /// It failed: exit 1.
    #[error("{0}")]
    Failed(String),
    /// The command that was to be run can't be: exit 127 if there is none of that name, else 126, as of
    /// `env`.
    #[error("{1}")]
    Command(u8, String),
}

impl Failure {
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Command(code, _) => *code,
        }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
