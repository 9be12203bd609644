//! What a drawing shows, and how its texts are escaped.

use davy_profile::names;

/// What a drawing shows besides its tree.
#[derive(Clone, Debug, Default)]
pub struct Drawing<'a> {
    /// The title.
    pub title: &'a str,
    /// The unit of the values.
    pub unit: &'a str,
    /// Lines below the title.
    pub notes: Vec<String>,
    /// The text and the address of a link below the notes.
    pub link: Option<(&'a str, String)>,
    /// Whether the tree begins with leaves: it grows downwards, in blue.
    pub is_reversed: bool,
    /// Whether values are shown in the largest unit in which the narrowest frame that is drawn is a whole number, and
    /// not in that of the profile.
    pub is_scaled: bool,
}

/// A text without control characters, which XML or readers cannot show. They are escaped as in text
/// output. The other characters that XML cannot contain are replaced by U+FFFD. Tabs are kept.
pub(super) fn legal(text: &str) -> String {
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
