//! Renders flame graphs as SVG.

mod lines;
#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorKind, Result};
use davy_profile::{FlameTree, NodeId, names};
use inferno::flamegraph::{Options, from_lines};
use lines::Lines;

/// Renders a tree, which should be pruned: frames narrower than a tenth of a pixel are not visible.
///
/// Every node with a positive value is drawn, with its own positive values and those of the nodes below
/// it. The subtitle states the rest of the tree's total: the value of the root, which has no frame, and
/// negative values.
pub fn svg(tree: &FlameTree, title: &str, unit: &str) -> Result<Vec<u8>> {
    svg_with(tree, title, unit, None)
}

/// Renders a tree like [`svg`]; the subtitle also states the range that was counted if it is wider than the title's.
pub(crate) fn svg_with(
    tree: &FlameTree,
    title: &str,
    unit: &str,
    effective: Option<String>,
) -> Result<Vec<u8>> {
    let unit = if unit.is_empty() { "count" } else { unit };
    let not_drawn = not_drawn(tree, unit);
    let lines = Lines::of(tree, legal);
    let mut options = Options::default();
    options.title = legal(title);
    let effective = effective.map(|range| format!("effective range: {range}"));
    let subtitle: Vec<String> = effective.into_iter().chain(not_drawn.clone()).collect();
    options.subtitle = (!subtitle.is_empty()).then(|| subtitle.join("; "));
    options.count_name = legal(unit);
    options.factor = lines.factor;
    // Keeps the order of the lines. In the default order, `a-b 1` is between `a 1` and `a;c 1`, which
    // draws two boxes for `a`. This mode reverses the lines and changes nothing else.
    options.flame_chart = true;
    options.no_javascript = false;
    if lines.text.is_empty() {
        let reason = not_drawn.unwrap_or_else(|| "no samples in this range".to_owned());
        return Ok(empty(&reason));
    }
    let mut out = Vec::new();
    from_lines(
        &mut options,
        lines.text.iter().rev().map(String::as_str),
        &mut out,
    )
    .map_err(|error| Error::caused(ErrorKind::Internal, "cannot render the flame graph", error))?;
    Ok(lines::restore(&out))
}

/// States the values of a tree that have no box.
fn not_drawn(tree: &FlameTree, unit: &str) -> Option<String> {
    let root = tree.values[NodeId::ROOT.index()];
    let below = tree.values[1..].iter().filter(|value| **value < 0);
    let negative: i128 = below.map(|value| i128::from(*value)).sum();
    let mut parts = Vec::new();
    if root != 0 {
        let value = separated(root.into());
        parts.push(format!("{value} {} without a frame", legal(unit)));
    }
    if negative != 0 {
        let value = separated(negative);
        parts.push(format!("{value} {} in negative values", legal(unit)));
    }
    (!parts.is_empty()).then(|| format!("not drawn: {}", parts.join(", ")))
}

/// All digits with thousands separators, as in the boxes.
fn separated(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = if value < 0 { "-" } else { "" }.to_owned();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A text without control characters, which XML or readers cannot show. They are escaped as in text
/// output. The other characters that XML cannot contain are replaced by U+FFFD. Tabs are kept.
fn legal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => names::push_escaped(&mut out, c),
            c => out.push(c),
        }
    }
    out
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
