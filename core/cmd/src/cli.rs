//! The command line: every command and the module that runs it.

use crate::failure::Failure;
use crate::stdout::print_bytes;
use crate::{
    archive, builds, changes, config, diff, doctor, drill, hijack, manual, mcp, members, process,
    profile, push, query, record, reference, settings, symbols, toggle, top, worker,
};
use clap::{Parser, Subcommand};

/// Profiles live systems and archives their flame graphs.
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process with local storage: page, API, archive, and a profile of itself
    Quickstart {
        /// Run the frontend, the backend and the archiver as child processes
        #[arg(long)]
        split: bool,
        #[command(flatten)]
        flags: config::Flags,
    },
    /// Run the frontend and the backend in one process
    Web(config::Flags),
    /// Run the page, the API and queries
    Frontend(config::Flags),
    /// Run the periodic members
    Backend(config::Flags),
    /// Run ingestion, compaction and queries
    Archiver(config::Flags),
    /// Run the tasks of builds on this machine, in containers (`--driver runc`) or as processes
    Worker(worker::WorkerOptions),
    #[command(hide = true)]
    Shim(worker::ShimOptions),
    /// Run a process that davy.toml defines: [process.NAME] members = [...]
    Run {
        /// Name of the process
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
    /// List every member of every process: state, restarts, CPU, heap
    Members(members::MembersOptions),
    /// List every endpoint: the member that serves it, its toggle, its requests
    Endpoints(members::MembersOptions),
    /// Show the usage of members and operations, live
    Top(top::TopOptions),
    /// Enable, disable, restart or wake a member
    #[command(subcommand)]
    Member(toggle::MemberCommand),
    /// Enable, disable or limit an endpoint
    #[command(subcommand)]
    Endpoint(toggle::EndpointCommand),
    /// List changes: who changed what, when and why
    Audit(toggle::AuditOptions),
    /// Check kernel settings, disk, ports, bucket, database, clocks and the running Davy, and say what to change; exits with 1
    /// if something is wrong
    Doctor(Box<doctor::DoctorOptions>),
    /// Reproduce an incident against a real Davy and check the response; exits with 1 on failure
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Run a task on a worker: upload inputs, follow the log, download outputs; exits with the code of the task
    Execute(builds::ExecuteOptions),
    /// List builds, follow their logs, abort them
    #[command(subcommand)]
    Builds(builds::BuildsCommand),
    /// Open a terminal in the container of a running build: `davy hijack BUILD`, `davy hijack BUILD -- COMMAND`
    Hijack(hijack::HijackOptions),
    /// List workers, and let them leave
    #[command(subcommand)]
    Workers(worker::WorkersCommand),
    /// Make and revoke the keys of workers
    #[command(subcommand)]
    Token(worker::TokenCommand),
    /// Create or upgrade the tables of the database
    Migrate(config::Flags),
    /// Profile a running process of Davy now and show a flame graph
    Profile(profile::ProfileOptions),
    /// Sample any program on this machine: `davy record -- COMMAND`, `davy record --pid N`, `davy record --cgroup PATH`
    Record(record::RecordCommandOptions),
    /// Push profiles (pprof, folded stacks, JFR, speedscope, perf script and others) to the archive
    Push(push::PushOptions),
    /// Query the archive: a flame graph as text, a table, pprof, folded stacks, SVG or JSON
    Query(query::QueryOptions),
    /// Rank the functions that changed between two ranges, versions or selectors
    Diff(diff::DiffOptions),
    /// Rank what grew, shrank, is new or gone against an hour, a day or a week ago
    Changes(changes::ChangesOptions),
    /// Serve tools for assistants over the Model Context Protocol on standard input and output; read-only by default
    Mcp(mcp::McpOptions),
    /// Inspect and maintain the archive in the configured bucket, without a server
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Names of functions: index those of a file, give them to the archive, list those that it has
    #[command(subcommand)]
    Symbols(symbols::SymbolsCommand),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    #[command(hide = true)]
    Reference {
        /// The document to print
        document: reference::ReferenceDocument,
    },
    /// Write manual pages of all commands, or print that of one
    Man(manual::ManOptions),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
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
        Command::Worker(options) => worker::run(options),
        Command::Shim(options) => worker::shim(&options),
        Command::Run { process, flags } => process::run(&process, &flags),
        Command::Child { parent, flags } => process::run_child(parent, &flags),
        Command::Members(options) => members::members(&options),
        Command::Endpoints(options) => members::endpoints(&options),
        Command::Top(options) => top::run(&options),
        Command::Member(command) => toggle::member(&command),
        Command::Endpoint(command) => toggle::endpoint(&command),
        Command::Audit(options) => toggle::audit(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Drill(command) => drill::run(&command),
        Command::Execute(options) => builds::execute(&options),
        Command::Builds(command) => builds::builds(&command),
        Command::Hijack(options) => hijack::run(&options),
        Command::Workers(command) => worker::workers(&command),
        Command::Token(command) => worker::token(&command),
        Command::Migrate(flags) => process::migrate(&flags),
        Command::Profile(options) => profile::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Push(options) => push::run(&options),
        Command::Query(options) => query::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Changes(options) => changes::run(&options),
        Command::Mcp(options) => mcp::run(&options),
        Command::Archive(command) => archive::run(&command),
        Command::Symbols(command) => symbols::run(&command),
        Command::Config(command) => settings::run(&command),
        Command::Reference { document } => {
            reference::run(document, <Cli as clap::CommandFactory>::command())
        }
        Command::Man(options) => manual::run(&options, <Cli as clap::CommandFactory>::command()),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut command = <Cli as clap::CommandFactory>::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "davy", &mut script);
    print_bytes(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
    /// Options of all commands that take a time and no `-1h`.
    fn without_hyphen(command: &clap::Command, found: &mut Vec<String>) {
        for argument in command.get_arguments() {
            let names = argument.get_value_names().unwrap_or_default();
            if names == ["TIME"] && !argument.is_allow_hyphen_values_set() {
                found.push(format!("{} --{}", command.get_name(), argument.get_id()));
            }
        }
        for below in command.get_subcommands() {
            without_hyphen(below, found);
        }
    }

    #[test]
    fn every_time_can_be_a_negative_duration() {
        let mut found = Vec::new();
        without_hyphen(&<Cli as clap::CommandFactory>::command(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
