//! The page around the boxes that inferno draws: title, notes, search, zoom and colours for dark screens.
//!
//! Its style and its script are the same in every drawing, and there are no event handlers in attributes. So a
//! Content-Security-Policy can admit them by two hashes.

use super::drawing::{Drawing, legal};
use crate::error::{Error, ErrorKind, Result};

/// The content of the element `style` of every drawing.
pub const STYLE: &str = include_str!("flamegraph.css");
/// The content of the element `script` of every drawing, between the marks of CDATA, which are not part of it.
pub const SCRIPT: &str = include_str!("flamegraph.js");

/// A Content-Security-Policy that admits the style and the script of a drawing, by their hashes, and nothing else.
pub const POLICY: &str = "default-src 'none'; script-src 'sha256-G7FCuCivfnbJkuRLzXW7sSI6dXW4PsX0eNF1dDM9gPQ='; style-src 'sha256-gCOr7TOhDlnHDjezPWMiSZrddQ7e2FLAgb4tuqaUuGk='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the boxes begin in what inferno writes.
const FRAMES: &str = "<svg id=\"frames\" ";
/// The end of the element around all.
const END: &str = "</svg>";
/// Height of a line of the header.
const LINE: usize = 16;

/// Surrounds the boxes of a drawing of inferno.
pub(super) fn page(drawn: &[u8], drawing: &Drawing<'_>) -> Result<Vec<u8>> {
    let unexpected = || {
        Error::new(
            ErrorKind::Internal,
            "cannot find the boxes of the flame graph; report it as a bug",
        )
    };
    let text = std::str::from_utf8(drawn).map_err(|_| unexpected())?;
    let at = text.find(FRAMES).ok_or_else(unexpected)?;
    let height = attribute(&text[..at], "height").ok_or_else(unexpected)?;
    let boxes = text[at + FRAMES.len()..]
        .strip_suffix(END)
        .ok_or_else(unexpected)?;
    let lines = drawing.notes.len() + usize::from(drawing.link.is_some());
    let shift = lines * LINE;
    let height = height + shift;
    let title = escaped(drawing.title);
    let description: Vec<String> = drawing.notes.iter().map(|note| escaped(note)).collect();
    let mut out = String::with_capacity(boxes.len() + STYLE.len() + SCRIPT.len() + 4_096);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n");
    out.push_str(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:fg=\"http://github.com/jonhoo/inferno\" version=\"1.1\" \
         width=\"100%\" height=\"{height}\" role=\"group\" aria-labelledby=\"name description\">"
    ));
    out.push_str(&format!("<title id=\"name\">{title}</title>"));
    out.push_str(&format!(
        "<desc id=\"description\">Flame graph. {}</desc>",
        description.join(". ")
    ));
    out.push_str(&format!("<style>{STYLE}</style>"));
    out.push_str(&format!(
        "<rect id=\"background\" width=\"100%\" height=\"{height}\"/>"
    ));
    out.push_str(&format!(
        "<text id=\"title\" x=\"50%\" y=\"24\">{title}</text>"
    ));
    let mut y = 24;
    for note in &description {
        y += LINE;
        out.push_str(&format!(
            "<text class=\"note\" x=\"50%\" y=\"{y}\">{note}</text>"
        ));
    }
    if let Some((text, address)) = &drawing.link {
        y += LINE;
        out.push_str(&format!(
            "<a href=\"{}\"><text class=\"note\" x=\"50%\" y=\"{y}\">{}</text></a>",
            escaped(address),
            escaped(text)
        ));
    }
    out.push_str(
        "<text id=\"unzoom\" class=\"control hide\" x=\"10\" y=\"24\" role=\"button\" tabindex=\"0\">Reset zoom</text>\
         <text id=\"search\" class=\"control\" x=\"100%\" dx=\"-10\" y=\"24\" role=\"button\" tabindex=\"0\">Search</text>",
    );
    let bottom = height - 10;
    out.push_str(&format!(
        "<text id=\"details\" x=\"10\" y=\"{bottom}\" role=\"status\"> </text>\
         <text id=\"matched\" x=\"100%\" dx=\"-10\" y=\"{bottom}\" role=\"status\"> </text>"
    ));
    let class = if drawing.is_reversed {
        "inverted"
    } else {
        "upright"
    };
    out.push_str(&format!("{FRAMES}class=\"{class}\" y=\"{shift}\" "));
    out.push_str(boxes);
    out.push_str(&format!("<script><![CDATA[{SCRIPT}]]></script>{END}\n"));
    Ok(out.into_bytes())
}

/// The first value of a numeric attribute.
fn attribute(text: &str, name: &str) -> Option<usize> {
    let (_, rest) = text.split_once(&format!(" {name}=\""))?;
    rest.split_once('"')?.0.parse().ok()
}

/// A text as content of an element or of an attribute.
pub(super) fn escaped(text: &str) -> String {
    legal(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
