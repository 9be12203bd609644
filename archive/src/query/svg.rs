//! Renders flame graphs as SVG.

mod drawing;
mod lines;
mod page;
#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorKind, Result};
use davy_profile::{FlameTree, NodeId, units};
pub use drawing::Drawing;
use drawing::legal;
use inferno::flamegraph::color::{BasicPalette, Palette};
use inferno::flamegraph::{Direction, Options, from_lines};
use lines::Lines;
pub use page::{POLICY, SCRIPT, STYLE};

/// Renders a tree, which should be pruned: frames narrower than a tenth of a pixel are not visible.
///
/// Every node with a positive value is drawn, with its own positive values and those of the nodes below
/// it. A note states the rest of the tree's total: the value of the root, which has no frame, and
/// negative values.
pub fn svg(tree: &FlameTree, title: &str, unit: &str) -> Result<Vec<u8>> {
    svg_with(tree, title, unit, None)
}

/// Renders a tree like [`svg`]; a note also states the range that was counted if it is wider than the title's.
pub(crate) fn svg_with(
    tree: &FlameTree,
    title: &str,
    unit: &str,
    effective: Option<String>,
) -> Result<Vec<u8>> {
    let effective = effective.map(|range| format!("effective range: {range}"));
    let drawing = Drawing {
        title,
        unit,
        notes: effective.into_iter().collect(),
        ..Drawing::default()
    };
    draw(tree, &drawing)
}

/// Renders a tree. The same tree and drawing give the same bytes. Siblings are in order of their names.
pub fn draw(tree: &FlameTree, drawing: &Drawing<'_>) -> Result<Vec<u8>> {
    let unit = if drawing.unit.is_empty() {
        "count"
    } else {
        drawing.unit
    };
    let mut drawing = drawing.clone();
    let not_drawn = not_drawn(tree, unit, drawing.is_scaled);
    let lines = Lines::of(tree, legal);
    if lines.text.is_empty() {
        let reason = not_drawn.unwrap_or_else(|| "no samples in this range".to_owned());
        return Ok(empty(&reason));
    }
    drawing.notes.extend(not_drawn);
    let (scale, unit) = if drawing.is_scaled {
        scaled(lines.total as f64 * lines.factor, unit)
    } else {
        (1.0, unit)
    };
    let mut options = Options::default();
    options.count_name = legal(unit);
    options.factor = lines.factor * scale;
    options.deterministic = true;
    if drawing.is_reversed {
        options.colors = Palette::Basic(BasicPalette::Blue);
        options.direction = Direction::Inverted;
    }
    // Keeps the order of the lines. In the default order, `a-b 1` is between `a 1` and `a;c 1`, which
    // draws two boxes for `a`. This mode reverses the lines and changes nothing else.
    options.flame_chart = true;
    // The page has a script of its own.
    options.no_javascript = true;
    let mut out = Vec::new();
    from_lines(
        &mut options,
        lines.text.iter().rev().map(String::as_str),
        &mut out,
    )
    .map_err(|error| Error::caused(ErrorKind::Internal, "cannot render the flame graph", error))?;
    page::page(&lines::restore(&out), &drawing)
}

/// Narrowest part of a drawing that has a box, as inferno draws it.
const NARROWEST: f64 = 1e-4;

/// The factor of the largest unit in which the narrowest box of a total is a whole number, and its name.
fn scaled(total: f64, unit: &str) -> (f64, &str) {
    let units: &[(f64, &'static str)] = match unit {
        "nanoseconds" => &[(1e-9, "s"), (1e-6, "ms"), (1e-3, "us"), (1.0, "ns")],
        "microseconds" => &[(1e-6, "s"), (1e-3, "ms"), (1.0, "us")],
        "milliseconds" => &[(1e-3, "s"), (1.0, "ms")],
        "bytes" => &[
            (1.0 / (1u64 << 30) as f64, "GiB"),
            (1.0 / (1u64 << 20) as f64, "MiB"),
            (1.0 / 1_024.0, "KiB"),
            (1.0, "B"),
        ],
        _ => return (1.0, unit),
    };
    let is_whole = |(factor, _): &&(f64, &'static str)| total * NARROWEST * factor >= 1.0;
    let found = units.iter().find(is_whole).or(units.last());
    found.copied().unwrap_or((1.0, unit))
}

/// States the values of a tree that have no box.
fn not_drawn(tree: &FlameTree, unit: &str, is_scaled: bool) -> Option<String> {
    let text = |value: i128| {
        if is_scaled {
            let value = value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
            legal(&units::format(value, unit))
        } else {
            format!("{} {}", separated(value), legal(unit))
        }
    };
    let root = tree.values[NodeId::ROOT.index()];
    let below = tree.values[1..].iter().filter(|value| **value < 0);
    let negative: i128 = below.map(|value| i128::from(*value)).sum();
    let mut parts = Vec::new();
    if root != 0 {
        parts.push(format!("{} without a frame", text(root.into())));
    }
    if negative != 0 {
        parts.push(format!("{} in negative values", text(negative)));
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

/// Maximum length of the message of an empty image, in characters.
const MESSAGE: usize = 150;

/// An image with a message instead of a flame graph.
pub(crate) fn empty(message: &str) -> Vec<u8> {
    let message: String = message.chars().take(MESSAGE).collect();
    let message = page::escaped(&message);
    format!(
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"60\"><text x=\"600\" y=\"34\" text-anchor=\"middle\" font-family=\"monospace\" font-size=\"12\">{message}</text></svg>\n"
    )
    .into_bytes()
}
