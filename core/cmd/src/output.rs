//! Formats and destinations of profiles, for `davy profile`, `davy record` and `davy query`.

pub(crate) mod runs;
pub(crate) mod text;

use crate::failure::Failure;
use crate::stdout::print_bytes;
use davy_profile::{FlameTree, folded, view};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use text::TextGraph;

/// The format of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A flame graph as text
    Text,
    /// A flame graph in the terminal, with keys and the mouse
    Flame,
    /// A table of functions
    Top,
    /// One line per stack
    Folded,
    /// Compressed pprof, for `go tool pprof`
    Pprof,
    /// An SVG image
    Svg,
    /// The flame graph as nested JSON
    Json,
}

/// Suffixes of file names and their formats.
const SUFFIXES: [(&str, Format); 7] = [
    (".txt", Format::Text),
    (".folded", Format::Folded),
    (".svg", Format::Svg),
    (".json", Format::Json),
    (".pb.gz", Format::Pprof),
    (".pb", Format::Pprof),
    (".pprof", Format::Pprof),
];

/// Default number of rows of a table.
pub(crate) const ROWS: usize = 30;
/// Default number of lines of a flame graph as text: about two screens.
const TEXT_NODES: usize = 80;
/// Default number of nodes of JSON; the archive has the same default.
const JSON_NODES: usize = 16_384;
/// Default number of nodes of an SVG image; the archive has the same default.
const SVG_NODES: usize = 8_192;

/// Options of every command that writes a profile.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputOptions {
    /// Format [default: by the suffix of the output file, otherwise text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Output file: .txt, .folded, .svg, .json, or .pb.gz, .pb or .pprof for pprof; any name with
    /// --format
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Maximum number of lines of a flame graph as text [default: 80], rows of a table [default: 30], or
    /// nodes of SVG or JSON
    #[arg(long, value_name = "N")]
    max_nodes: Option<usize>,
    /// Show every frame; by default, long runs of frames that only call the next one are folded into one
    /// line
    #[arg(long)]
    all_frames: bool,
}

impl OutputOptions {
    /// The format to write. Call it before measuring, so that invalid usage is reported first.
    pub(crate) fn format(&self) -> Result<Format, Failure> {
        let is_terminal = std::io::stdout().is_terminal();
        choose(self.format, self.output.as_deref(), is_terminal).map_err(Failure::usage)
    }

    /// The output file; `None` is standard output.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Whether `--format` was passed.
    pub(crate) fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// The value of `--max-nodes`.
    pub(crate) fn max_nodes(&self) -> Option<usize> {
        self.max_nodes
    }

    /// Maximum number of lines of a flame graph as text.
    pub(crate) fn lines(&self) -> usize {
        self.max_nodes.unwrap_or(TEXT_NODES)
    }

    /// Whether `--all-frames` was passed.
    pub(crate) fn all_frames(&self) -> bool {
        self.all_frames
    }

    /// How to draw a flame graph as text.
    pub(crate) fn text<'a>(&self, unit: &'a str) -> TextGraph<'a> {
        TextGraph {
            unit,
            max_nodes: self.lines(),
            all_frames: self.all_frames,
            total_note: "",
        }
    }

    /// Renders a profile that is available as a tree and as pprof.
    pub(crate) fn render(
        &self,
        format: Format,
        tree: &FlameTree,
        (title, unit): (&str, &str),
        pprof: impl FnOnce() -> Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        let nodes = |default| self.max_nodes.unwrap_or(default);
        Ok(match format {
            Format::Text => self.text(unit).tree(tree).into_bytes(),
            Format::Flame => {
                let fetch = |_: bool| Ok(tree.clone());
                crate::live::browse(fetch, (title, unit), self.all_frames)?;
                Vec::new()
            }
            Format::Top => text::table_of(tree, unit, nodes(ROWS)).into_bytes(),
            Format::Folded => folded::encode(tree).into_bytes(),
            Format::Pprof => pprof(),
            Format::Svg => {
                let tree = tree.prune(nodes(SVG_NODES));
                davy_archive::query::svg::svg(&tree, title, unit)
                    .map_err(Failure::because("cannot draw the SVG image"))?
            }
            Format::Json => view::to_json(tree, nodes(JSON_NODES).into()).into_bytes(),
        })
    }

    /// Writes to the file, or to standard output.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(path) = &self.output else {
            return print_bytes(bytes);
        };
        std::fs::write(path, bytes).map_err(|error| cannot_write(path, error))
    }
}

pub(crate) fn cannot_write(path: &Path, error: std::io::Error) -> Failure {
    Failure::because(format!("cannot write {}", path.display()))(error)
}

/// The format: the value of `--format`, otherwise by the suffix of the file, otherwise text.
fn choose(
    requested: Option<Format>,
    output: Option<&Path>,
    is_terminal: bool,
) -> Result<Format, String> {
    let Some(path) = output else {
        return match requested.unwrap_or(Format::Text) {
            Format::Pprof if is_terminal => {
                Err("cannot write pprof to a terminal; pass -o FILE or use a pipe".to_owned())
            }
            format => Ok(format),
        };
    };
    if requested == Some(Format::Flame) {
        return Err(
            "--format flame is shown in the terminal; pass another format with -o".to_owned(),
        );
    }
    if let Some(format) = requested {
        return Ok(format);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let known = SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix));
    known.map(|(_, format)| *format).ok_or_else(|| {
        let known: Vec<&str> = SUFFIXES.iter().map(|(suffix, _)| *suffix).collect();
        format!(
            "cannot infer the format of {}: expected one of the suffixes {}; or pass --format",
            path.display(),
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_defaults_to_text_and_pprof_is_refused_on_a_terminal() {
        let check = |requested, is_terminal, expected| {
            assert_eq!(choose(requested, None, is_terminal).ok(), expected);
        };
        for is_terminal in [false, true] {
            check(None, is_terminal, Some(Format::Text));
            check(Some(Format::Svg), is_terminal, Some(Format::Svg));
        }
        check(Some(Format::Pprof), false, Some(Format::Pprof));
        check(Some(Format::Pprof), true, None);
    }

    #[test]
    fn file_suffix_selects_the_format_and_unknown_suffix_lists_the_known_ones() {
        let check = |name: &str, requested, expected| {
            let chosen = choose(requested, Some(Path::new(name)), true);
            assert_eq!(chosen.ok(), expected, "{name}");
        };
        check("a.txt", None, Some(Format::Text));
        check("x/a.b.folded", None, Some(Format::Folded));
        check("a.svg", None, Some(Format::Svg));
        check("a.json", None, Some(Format::Json));
        for name in ["a.pb.gz", "a.pb", "a.pprof"] {
            check(name, None, Some(Format::Pprof));
        }
        check("a.svg", Some(Format::Top), Some(Format::Top));
        check("/dev/null", Some(Format::Pprof), Some(Format::Pprof));
        check("a.gz", None, None);
        let refused = choose(None, Some(Path::new("a.png")), false).expect_err("unknown suffix");
        assert_eq!(
            refused,
            "cannot infer the format of a.png: expected one of the suffixes .txt, .folded, .svg, .json, .pb.gz, .pb, .pprof; or pass --format"
        );
    }
}
