//! `davy man`: manual pages, from the definition of the command line.

use crate::failure::Failure;
use crate::stdout::{print, print_bytes};
use clap::Command;
use clap_mangen::Man;
use std::path::{Path, PathBuf};

/// Options of `davy man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManOptions {
    /// The command, such as `archive ls`; its page is printed, for `davy man query | man -l -`
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands to this folder, such as /usr/local/share/man/man1
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints or writes pages.
pub(crate) fn run(options: &ManOptions, mut root: Command) -> Result<(), Failure> {
    root.build();
    let Some(folder) = &options.dir else {
        let mut command = &root;
        for name in &options.command {
            command = command.find_subcommand(name).ok_or_else(|| {
                Failure::usage(format!(
                    "unknown command {name:?}; `davy --help` lists the commands"
                ))
            })?;
        }
        let (_, page) = page(command)?;
        return print_bytes(&page);
    };
    std::fs::create_dir_all(folder).map_err(cannot_write(folder))?;
    let mut pending = vec![&root];
    let mut pages = 0;
    while let Some(command) = pending.pop() {
        let (name, page) = page(command)?;
        let file = folder.join(name);
        std::fs::write(&file, page).map_err(cannot_write(&file))?;
        pages += 1;
        let shown = |below: &&Command| !below.is_hide_set() && below.get_name() != "help";
        pending.extend(command.get_subcommands().filter(shown));
    }
    let pages = davy_profile::units::count(pages, "page", "pages");
    print(&format!("{}: {pages}\n", folder.display()))
}

/// The name of the file of a page, and the page.
fn page(command: &Command) -> Result<(String, Vec<u8>), Failure> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let name = name.replace(' ', "-");
    let mut page = Vec::new();
    // The title and the references to other pages use the name.
    let man = Man::new(command.clone().name(name.clone()));
    man.render(&mut page)
        .map_err(Failure::because("cannot write a manual page"))?;
    Ok((format!("{name}.1"), page))
}

fn cannot_write(path: &Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    Failure::because(format!("cannot write {}", path.display()))
}
