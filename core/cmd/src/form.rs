//! In which form a profile is written, and where to: one rule for `davy profile`, `davy record` and
//! `davy query`.

mod runs;
pub(crate) mod text;

use crate::cli::{Failure, print_bytes};
use davy_profile::{FlameTree, folded, view};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use text::Text;

/// A form of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A flame graph as text
    Text,
    /// A table of functions
    Top,
    /// A line a stack
    Folded,
    /// pprof, packed, for `go tool pprof`
    Pprof,
    /// A picture
    Svg,
    /// The flame graph as nested JSON
    Json,
}

/// What the name of a file ends in, and what is written to it.
const ENDINGS: [(&str, Format); 7] = [
    (".txt", Format::Text),
    (".folded", Format::Folded),
    (".svg", Format::Svg),
    (".json", Format::Json),
    (".pb.gz", Format::Pprof),
    (".pb", Format::Pprof),
    (".pprof", Format::Pprof),
];

/// Rows of a table unless told otherwise.
pub(crate) const ROWS: usize = 30;
/// Lines of a tree as text unless told otherwise: about two screens.
const TEXT_NODES: usize = 80;
/// Nodes of nested JSON unless told otherwise, as the archive answers.
const JSON_NODES: usize = 16_384;
/// Nodes of a picture unless told otherwise, as the archive draws.
const SVG_NODES: usize = 8_192;

/// The options of every command that writes a profile.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Form {
    /// What to write [default: what the name of the file says, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write to: .txt, .folded, .svg, .json, or .pb.gz, .pb or .pprof for pprof; any name with
    /// --format
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lines of a flame graph as text [default: 80], rows of a table [default: 30], or nodes of a
    /// picture or of JSON
    #[arg(long, value_name = "N")]
    max_nodes: Option<usize>,
    /// Draw every frame of the text: long runs of frames that do nothing by themselves are one line
    /// otherwise
    #[arg(long)]
    all_frames: bool,
}

impl Form {
    /// What is going to be written; wrong usage is told before anything is measured.
    pub(crate) fn format(&self) -> Result<Format, Failure> {
        let is_terminal = std::io::stdout().is_terminal();
        choose(self.format, self.output.as_deref(), is_terminal).map_err(Failure::Usage)
    }

    /// The file, if it does not go to standard output.
    pub(crate) fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Whether somebody said which form it is to have.
    pub(crate) fn is_said(&self) -> bool {
        self.format.is_some()
    }

    /// How many nodes or rows, if somebody said it.
    pub(crate) fn max_nodes(&self) -> Option<usize> {
        self.max_nodes
    }

    /// How a flame graph as text is drawn.
    pub(crate) fn text<'a>(&self, unit: &'a str) -> Text<'a> {
        Text {
            unit,
            max_nodes: self.max_nodes.unwrap_or(TEXT_NODES),
            all_frames: self.all_frames,
            over: "",
        }
    }

    /// A profile that is here, as a tree and as pprof.
    pub(crate) fn drawn(
        &self,
        format: Format,
        tree: &FlameTree,
        (title, unit): (&str, &str),
        pprof: impl FnOnce() -> Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        let nodes = |default| self.max_nodes.unwrap_or(default);
        Ok(match format {
            Format::Text => self.text(unit).tree(tree).into_bytes(),
            Format::Top => text::table_of(tree, unit, nodes(ROWS)).into_bytes(),
            Format::Folded => folded::encode(tree).into_bytes(),
            Format::Pprof => pprof(),
            Format::Svg => {
                let tree = tree.prune(nodes(SVG_NODES));
                davy_archive::query::svg::svg(&tree, title, unit)
                    .map_err(|error| Failure::Failed(error.to_string()))?
            }
            Format::Json => view::to_json(tree, nodes(JSON_NODES)).into_bytes(),
        })
    }

    /// Into the file, else to standard output.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(path) = &self.output else {
            return print_bytes(bytes);
        };
        std::fs::write(path, bytes).map_err(|error| cannot_write(path, &error))
    }
}

pub(crate) fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("can't write to {}: {error}", path.display()))
}

/// The rule: what was said, else what the file is called, else text, wherever that goes.
fn choose(
    said: Option<Format>,
    output: Option<&Path>,
    is_terminal: bool,
) -> Result<Format, String> {
    let Some(path) = output else {
        return match said.unwrap_or(Format::Text) {
            Format::Pprof if is_terminal => {
                Err("pprof is not for a terminal; name a file with -o, or a pipe".to_owned())
            }
            format => Ok(format),
        };
    };
    if let Some(format) = said {
        return Ok(format);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    ending.map(|(_, format)| *format).ok_or_else(|| {
        let known: Vec<&str> = ENDINGS.iter().map(|(ending, _)| *ending).collect();
        format!(
            "{} does not say what to write: end it in {}, or say --format",
            path.display(),
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_output_is_text_unless_told_otherwise_and_a_terminal_takes_no_pprof() {
        let check = |said, is_terminal, expected| {
            assert_eq!(choose(said, None, is_terminal).ok(), expected);
        };
        for is_terminal in [false, true] {
            check(None, is_terminal, Some(Format::Text));
            check(Some(Format::Svg), is_terminal, Some(Format::Svg));
        }
        check(Some(Format::Pprof), false, Some(Format::Pprof));
        check(Some(Format::Pprof), true, None);
    }

    #[test]
    fn the_name_of_a_file_says_its_form_and_an_unknown_one_is_answered_with_the_known() {
        let check = |name: &str, said, expected| {
            let chosen = choose(said, Some(Path::new(name)), true);
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
        let refused = choose(None, Some(Path::new("a.png")), false).expect_err("it is unknown");
        assert_eq!(
            refused,
            "a.png does not say what to write: end it in .txt, .folded, .svg, .json, .pb.gz, .pb, .pprof, or say --format"
        );
    }
}
