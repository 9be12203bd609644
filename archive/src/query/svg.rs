//! Renders flame graphs as SVG.

use crate::error::{Error, ErrorKind, Result};
use davy_profile::FlameTree;
use inferno::flamegraph::{Options, from_lines};

/// Renders a tree, which should be pruned: frames narrower than a tenth of a pixel are not visible.
pub fn svg(tree: &FlameTree, title: &str, unit: &str) -> Result<Vec<u8>> {
    let folded = legal(&davy_profile::folded::encode(tree));
    let mut options = Options::default();
    options.title = legal(title);
    unit.clone_into(&mut options.count_name);
    options.no_javascript = false;
    let mut out = Vec::new();
    if folded.trim().is_empty() {
        return Ok(empty("no samples in this range"));
    }
    from_lines(&mut options, folded.lines(), &mut out).map_err(|error| {
        Error::caused(ErrorKind::Internal, "cannot render the flame graph", error)
    })?;
    Ok(out)
}

/// Replaces characters that XML cannot contain even when escaped, except line feeds and tabs.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Maximum length of the message of an empty image, in characters.
const MESSAGE: usize = 150;

/// An image with a message instead of a flame graph.
pub(crate) fn empty(message: &str) -> Vec<u8> {
    let message: String = legal(message).chars().take(MESSAGE).collect();
    let message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"60\"><text x=\"600\" y=\"34\" text-anchor=\"middle\" font-family=\"monospace\" font-size=\"12\">{message}</text></svg>\n"
    )
    .into_bytes()
}
