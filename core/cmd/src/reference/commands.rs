//! The reference of the command line.

use clap::{Arg, Command};

const INTRODUCTION: &str = "# Command line

Generated from the definition of the command line; a test keeps it up to date. Commands that take settings
have a flag for each one, see [configuration](configuration.md).
";

/// The reference as Markdown.
pub(super) fn markdown(mut command: Command) -> String {
    command.build();
    let mut text = INTRODUCTION.to_owned();
    add(&command, &mut text);
    text
}

fn add(command: &Command, text: &mut String) {
    let commands: Vec<&Command> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .collect();
    if commands.is_empty() {
        add_command(command, text);
    }
    for sub in commands {
        add(sub, text);
    }
}

fn add_command(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string);
    text.push_str(&format!("\n## {name}\n\n{}.\n", about.unwrap_or_default()));
    let shown = |arg: &&Arg| {
        let is_setting = arg.get_help_heading() == Some("Settings");
        let is_standard = ["help", "version"].contains(&arg.get_id().as_str());
        !arg.is_hide_set() && !is_setting && !is_standard
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | meaning | default |\n|---|---|---|\n");
    }
    for arg in arguments {
        text.push_str(&row(arg));
    }
    let takes_settings = command
        .get_arguments()
        .any(|arg| arg.get_help_heading() == Some("Settings"));
    if takes_settings {
        text.push_str("\nTakes every setting as a flag.\n");
    }
}

fn row(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let values: Vec<String> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let value = values.join(" ");
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let name = match (name.is_empty(), takes_value) {
        (true, _) => value,
        (false, true) => format!("{name} {value}"),
        (false, false) => name,
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut meaning = cell(&help);
    let possible: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| takes_value)
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() {
        meaning.push_str(&format!("; one of {}", possible.join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        meaning.push_str(&format!("; environment `{}`", variable.to_string_lossy()));
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| takes_value && !value.is_empty())
        .map(|value| format!("`{value}`"))
        .collect();
    format!("| `{name}` | {meaning} | {} |\n", defaults.join(", "))
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
