//! Flame graphs as SVG.

use crate::error::{Error, ErrorKind, Result};
use davy_profile::FlameTree;
use inferno::flamegraph::{Options, from_lines};

/// Draws a tree. It should have been pruned: what is narrower than a tenth of a pixel is not drawn.
pub fn svg(tree: &FlameTree, title: &str, unit: &str) -> Result<Vec<u8>> {
    let folded = legal(&davy_profile::folded::encode(tree));
    let mut options = Options::default();
    options.title = legal(title);
    unit.clone_into(&mut options.count_name);
    options.no_javascript = false;
    let mut out = Vec::new();
    if folded.trim().is_empty() {
        return Ok(EMPTY.into());
    }
    from_lines(&mut options, folded.lines(), &mut out).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            format!("the graph cannot be drawn: {error}"),
        )
    })?;
    Ok(out)
}

/// Replaces what XML cannot hold, not even escaped. Line feeds end stacks and stay.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

const EMPTY: &str = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"60\"><text x=\"600\" y=\"34\" text-anchor=\"middle\" font-family=\"monospace\" font-size=\"14\">no samples in this range</text></svg>\n";
