//! `davy query`: answers from the archive, as a person or a program wants them.

pub(crate) mod text;

use crate::cli::{Failure, Server, print_bytes};
use crate::client::Client;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Options of `davy query`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Profile type: an id such as process_cpu:cpu:nanoseconds:cpu:nanoseconds, or cpu, wall, heap,
    /// inuse_objects, allocs, alloc_objects, tasks
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Which series, such as '{service_name="davy",member=~"archive.*"}'
    #[arg(long, default_value = "{}", value_name = "SELECTOR")]
    selector: String,
    /// Begin: unix time, RFC 3339, or now-1h
    #[arg(long, default_value = "now-1h", value_name = "TIME")]
    from: String,
    /// End, not included
    #[arg(long, default_value = "now", value_name = "TIME")]
    until: String,
    /// Labels to group by, such as member,op
    #[arg(long, value_name = "LABELS")]
    by: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Flamegraph)]
    format: Format,
    /// How many nodes of a flame graph, or rows of a table
    #[arg(long, value_name = "N")]
    max_nodes: Option<usize>,
    /// File to write to instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A tree as text
    Flamegraph,
    /// pprof, packed, for `go tool pprof`
    Pprof,
    /// A line a stack
    Folded,
    /// A picture
    Svg,
    /// A table of functions
    Top,
    /// The flame graph as nested JSON
    Json,
}

/// Rows of a table unless told otherwise.
const ROWS: usize = 30;
/// Nodes of a tree as text unless told otherwise: about two screens.
const TEXT_NODES: usize = 80;

/// Asks and prints.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    let mut query = vec![
        ("type", type_id(&options.kind)),
        ("selector", options.selector.clone()),
        ("from", options.from.clone()),
        ("until", options.until.clone()),
    ];
    if let Some(by) = &options.by {
        query.push(("by", by.clone()));
    }
    let mut limit = |name, default: Option<usize>| {
        if let Some(number) = options.max_nodes.or(default) {
            query.push((name, number.to_string()));
        }
    };
    let path = match options.format {
        // The tree is cut here, from all of the stacks, so that every number in it is exact.
        Format::Flamegraph | Format::Folded => "folded",
        Format::Pprof => "pprof",
        Format::Svg => "svg",
        Format::Top => {
            limit("limit", Some(ROWS));
            "top"
        }
        Format::Json => {
            limit("max_nodes", None);
            "flamegraph"
        }
    };
    let body = client.get(&format!("/api/v1/profiles/{path}"), &query)?;
    let unit = query[0].1.split(':').nth(2).unwrap_or("").to_owned();
    let body = match options.format {
        Format::Flamegraph => {
            text::tree(&body, &unit, options.max_nodes.unwrap_or(TEXT_NODES))?.into_bytes()
        }
        Format::Top => text::table(&body)?.into_bytes(),
        _ => body,
    };
    write(&body, options)
}

fn write(body: &[u8], options: &Options) -> Result<(), Failure> {
    if let Some(path) = &options.output {
        return std::fs::write(path, body).map_err(|error| {
            Failure::Failed(format!("can't write to {}: {error}", path.display()))
        });
    }
    if options.format == Format::Pprof && std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "pprof is not for a terminal; name a file with -o FILE".to_owned(),
        ));
    }
    print_bytes(body)
}

/// The full id of a type that people call by a short name.
fn type_id(name: &str) -> String {
    let id = match name {
        "cpu" => "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        "wall" => "wall:wall:nanoseconds:wall:nanoseconds",
        "heap" | "inuse" | "inuse_space" => "memory:inuse_space:bytes:space:bytes",
        "inuse_objects" => "memory:inuse_objects:count:space:bytes",
        "allocs" | "alloc" | "alloc_space" => "memory:alloc_space:bytes:space:bytes",
        "alloc_objects" => "memory:alloc_objects:count:space:bytes",
        "tasks" => "tasks:tasks:count::",
        other => other,
    };
    id.to_owned()
}
