//! Names of frames as people read them.

use std::borrow::Cow;

/// A name without characters that would act on a terminal or reorder a line: control characters are
/// shown as `\x1b`, and line separators and bidirectional controls as `\u{202e}`. Other characters,
/// including backslashes, are unchanged.
pub fn visible(name: &str) -> Cow<'_, str> {
    if !name.contains(is_invisible) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if is_invisible(c) {
            push_escaped(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Appends `\x1b` for a character up to U+00FF, `\u{202e}` for others.
pub fn push_escaped(out: &mut String, c: char) {
    let code = u32::from(c);
    out.push_str(&if code <= 0xff {
        format!("\\x{code:02x}")
    } else {
        format!("\\u{{{code:x}}}")
    });
}

fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_visible_and_other_characters_unchanged() {
        let check = |name: &str, expected: &str| assert_eq!(visible(name), expected);
        check("", "");
        check("std::vec::Vec<T>; 8] \"q\"", "std::vec::Vec<T>; 8] \"q\"");
        check("App\\Http\\x1b", "App\\Http\\x1b");
        check(
            "\u{645}\u{631} \u{1f980} \u{e9}",
            "\u{645}\u{631} \u{1f980} \u{e9}",
        );
        check("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07");
        check("a\rb\nc\td\0e\x7f", "a\\x0db\\x0ac\\x09d\\x00e\\x7f");
        check("\u{9b}31m", "\\x9b31m");
        check(
            "a\u{202e}b\u{2028}c\u{2066}",
            "a\\u{202e}b\\u{2028}c\\u{2066}",
        );
    }
}
