//! `davy symbols`: makes symbol indices of executables and libraries, and gives them to the archive.

use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use crate::stdout::print;
use davy_profile::symbol_index::SymbolIndex;
use davy_profile::{gzip, units};
use davy_profiler::{SymbolSources, build_symbol_index};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SymbolsCommand {
    /// Write the symbol index of an executable or a library: the names of its functions, inlined functions and lines.
    /// A profiled program uses the index beside its executable instead of building its own
    Index {
        /// The file; its debug information may be in a separate file that .gnu_debuglink or the build id leads to
        file: PathBuf,
        /// The file to write [default: FILE.symbols]
        #[arg(short, long, value_name = "OUTPUT")]
        output: Option<PathBuf>,
    },
    /// Give the symbols of executables and libraries to the archive, which then names their addresses in profiles
    #[command(visible_alias = "upload")]
    Push {
        /// Executables, libraries, or symbol indices
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        server: Server,
    },
    /// List the builds whose symbols the archive has
    Ls {
        #[command(flatten)]
        server: Server,
    },
}

pub(crate) fn run(command: &SymbolsCommand) -> Result<(), Failure> {
    match command {
        SymbolsCommand::Index { file, output } => index(file, output.as_deref()),
        SymbolsCommand::Push { files, server } => {
            let client = Client::new(server)?;
            files.iter().try_for_each(|file| push(file, &client))
        }
        SymbolsCommand::Ls { server } => list(&Client::new(server)?),
    }
}

fn index(file: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let with = |path: &Path, extension: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(extension);
        PathBuf::from(path)
    };
    let output = output.map_or_else(|| with(file, ".symbols"), Path::to_owned);
    let cannot_write = || Failure::because(format!("cannot write {}", output.display()));
    // Renamed into place: a running program may have mapped the file that is there.
    let partial = with(&output, ".partial");
    let written = File::create(&partial).map_err(cannot_write())?;
    let sources = build(file, BufWriter::new(&written)).inspect_err(|_| {
        let _ = std::fs::remove_file(&partial);
    })?;
    let bytes = written.metadata().map_err(cannot_write())?.len();
    std::fs::rename(&partial, &output).map_err(cannot_write())?;
    let (output, size) = (output.display(), units::bytes(bytes as f64));
    print(&format!("{output}: {size}, {}\n", summary(&sources)))
}

fn build(file: &Path, output: impl std::io::Write) -> Result<SymbolSources, Failure> {
    let sources = build_symbol_index(file, output);
    sources.map_err(Failure::because(format!(
        "cannot read the symbols of {}",
        file.display()
    )))
}

/// How many functions of a file have names, and from where.
fn summary(sources: &SymbolSources) -> String {
    let functions = |number| units::count(number, "function", "functions");
    let mut parts = Vec::new();
    for (number, of) in [
        (sources.debug_info, "debug information"),
        (sources.symbols, "the symbol table"),
        (sources.unwind_table, "the unwind table, without names"),
    ] {
        if number > 0 {
            parts.push(format!("{} from {of}", functions(number)));
        }
    }
    match parts.as_slice() {
        [] => "no functions".to_owned(),
        parts => parts.join(", "),
    }
}

fn push(file: &Path, client: &Client) -> Result<(), Failure> {
    let shown = file.display();
    let mut index =
        std::fs::read(file).map_err(Failure::because(format!("cannot read {shown}")))?;
    let mut of = String::new();
    if SymbolIndex::open(&index).is_err() {
        index.clear();
        let sources = build(file, &mut index)?;
        if sources.debug_info + sources.symbols == 0 {
            return Err(
                Failure::failed(format!("{shown} has no names: it is stripped")).with_hint(
                    "push the file that was not stripped, or put its debug file beside it",
                ),
            );
        }
        of = format!(": {}", summary(&sources));
    }
    let index =
        SymbolIndex::open(index).map_err(Failure::because(format!("cannot read {shown}")))?;
    let build_id = index.build_id();
    if build_id.is_empty() {
        return Err(Failure::failed(format!(
            "{shown} has no build id, by which profiles refer to it"
        ))
        .with_hint("link it with -Wl,--build-id"));
    }
    let body = gzip::compress(index.as_bytes());
    client.put(&format!("/api/v1/symbols/{build_id}"), "gzip", &body)?;
    print(&format!("{shown}: pushed as {build_id}{of}\n"))
}

/// The symbols of a build, in the response of the archive.
#[derive(serde::Deserialize)]
struct Row {
    build_id: String,
    file: String,
    functions: u64,
    bytes: u64,
}

#[derive(serde::Deserialize)]
struct List {
    symbols: Vec<Row>,
}

fn list(client: &Client) -> Result<(), Failure> {
    let list: List = client.get_json("/api/v1/symbols", &[])?;
    let mut text = String::new();
    for row in list.symbols {
        let Row {
            build_id,
            file,
            functions,
            bytes,
        } = row;
        let size = units::bytes(bytes as f64);
        text.push_str(&format!(
            "{build_id:40}  {functions:>9}  {size:>9}  {file}\n"
        ));
    }
    if text.is_empty() {
        return print("no symbols; `davy symbols push FILE` adds those of a file\n");
    }
    print(&format!(
        "{:40}  FUNCTIONS       SIZE  FILE\n{text}",
        "BUILD ID"
    ))
}
