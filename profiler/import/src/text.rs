//! Text in the encodings that shells and profilers write.

use davy_profile::folded;
use std::borrow::Cow;

/// Bytes that are examined to recognize UTF-16 without a byte order mark.
const HEAD: usize = 512;

/// The text without its byte order mark: UTF-8, or UTF-16 of either byte order with or without a
/// mark. Invalid sequences become U+FFFD, so that one damaged name does not lose the profile.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)),
        _ if zeros(bytes, 1) => Cow::Owned(utf16(bytes, u16::from_le_bytes)),
        _ if zeros(bytes, 0) => Cow::Owned(utf16(bytes, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Whether the bytes are UTF-16, by their byte order mark or by their zeros.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || zeros(bytes, 1)
        || zeros(bytes, 0)
}

/// Whether nine of ten of the first bytes at an odd or even offset are zero, and none of the others.
fn zeros(bytes: &[u8], offset: usize) -> bool {
    let head = &bytes[..bytes.len().min(HEAD) & !1];
    let count = |offset: usize| {
        head[offset.min(head.len())..]
            .iter()
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    head.len() >= 4 && count(offset) * 20 >= head.len() * 9 && count(1 - offset) == 0
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The lines of a text with their numbers, from 1, without trailing white space.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_end_matches([' ', '\t', '\r'])))
}

/// The key and value of a comment such as `# mode: wall`; empty for other comments. `None` if the
/// line is not a comment.
pub(crate) fn comment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = folded::comment(line)?.split_once(':').unwrap_or_default();
    Some((key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_of_windows_shells_are_decoded() {
        let le = |text: &str| {
            text.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>()
        };
        let be = |text: &str| {
            text.encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect::<Vec<u8>>()
        };
        let check = |bytes: &[u8], expected: &str| assert_eq!(decode(bytes), expected, "{bytes:?}");
        check(b"a;b 1\n", "a;b 1\n");
        check(b"\xef\xbb\xbfa;b 1\n", "a;b 1\n");
        check(
            &[&[0xff, 0xfe][..], &le("aé;b 1\r\n")].concat(),
            "aé;b 1\r\n",
        );
        check(&[&[0xfe, 0xff][..], &be("a😀;b 1")].concat(), "a😀;b 1");
        check(&le("a;b 1\n"), "a;b 1\n");
        check(&be("a;b 1\n"), "a;b 1\n");
        check(b"class@anonymous\0/path;f 3", "class@anonymous\0/path;f 3");
        check(b"a\xff;b 1", "a\u{fffd};b 1");
        check(b"", "");
        check(b"\0", "\0");
    }

    #[test]
    fn comments_begin_with_hash_and_space() {
        assert_eq!(comment("# mode: wall"), Some(("mode", "wall")));
        assert_eq!(comment("#"), Some(("", "")));
        assert_eq!(comment("# by hand"), Some(("", "")));
        assert_eq!(comment("#<Class:0x1>;f 3"), None);
        assert_eq!(comment("main 3"), None);
    }
}
