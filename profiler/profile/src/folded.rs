//! Codec of folded stacks: one line for each stack, `root;caller;leaf 42`.
//!
//! Format: <https://github.com/brendangregg/FlameGraph> (`stackcollapse-*.pl`). The count follows the
//! last space, so names may contain spaces and end in numbers. It may be negative. Lines that begin with `#`
//! and a space, a tab, another `#` or nothing are comments.
//!
//! Some names would not survive as they are. [`encode`] escapes them, and [`frames`], with which every
//! decoder reads a stack, restores them:
//!
//! | in a name | is written as |
//! |---|---|
//! | `;`, line feed, carriage return, NUL | `%3B`, `%0A`, `%0D`, `%00` |
//! | a space or tab at the start or end of the name | `%20`, `%09` |
//! | `#` at the start of the name, where it would begin a comment | `%23` |
//! | the name `(no stack)` | `%28no stack)` |
//! | `%` where one of these sequences would otherwise begin | `%25` |
//!
//! All other names are written unchanged, including those with other `%` and with `\`. Conversely, only
//! these sequences are decoded, in upper case and in these places: `100%`, `a%20b` and `%3b` are
//! ordinary names. A name of another profiler is changed only if it contains one of these sequences, which
//! occur in percent-encoded URLs.
//!
//! Samples without a stack have the line `(no stack) 42`. A byte order mark at the start of the text is not
//! part of a name.

use crate::{Error, FlameTree, Limits, NodeId, Profile};
use std::borrow::Cow;

/// The stack of samples without a stack.
pub const NO_STACK: &str = "(no stack)";
/// [`NO_STACK`] as the name of a frame.
const NO_STACK_ESCAPED: &str = "%28no stack)";

/// U+FEFF at the start of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Splits a line at its last space or tab. Returns the stack without trailing spaces, which may be empty, and
/// the text of the count; `None` if there is no space.
pub fn split(line: &str) -> Option<(&str, &str)> {
    let (stack, count) = line.rsplit_once([' ', '\t'])?;
    Some((stack.trim_end_matches([' ', '\t']), count))
}

/// The names of the frames of a stack from root to leaf; none for [`NO_STACK`].
pub fn frames(stack: &str) -> impl Iterator<Item = Cow<'_, str>> + Clone {
    let names = (stack != NO_STACK).then(|| stack.split(';'));
    names.into_iter().flatten().map(unescape)
}

/// What follows the `#` of a comment; `None` if the line is not a comment, such as Ruby's `#<Class:0x1>`.
pub fn comment(line: &str) -> Option<&str> {
    let comment = line.strip_prefix('#')?;
    (comment.is_empty() || comment.starts_with([' ', '\t', '#'])).then_some(comment)
}

/// Decodes folded stacks into a profile with the sample type `samples` in the unit `count`.
///
/// Empty lines and comments are skipped. A line without a stack, a count, or with one that is not a whole number, is an
/// error.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Profile, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge {
            limit: limits.bytes,
        });
    }
    let mut profile = Profile::new();
    profile.add_sample_type("samples", "count");
    profile.period_type = profile.sample_types[0];
    profile.period = 1;
    let mut mark = [0; 4];
    let mark = BYTE_ORDER_MARK.encode_utf8(&mut mark).as_bytes();
    let bytes = bytes.strip_prefix(mark).unwrap_or(bytes);
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        if text.is_empty() || comment(&text).is_some() {
            continue;
        }
        let fail = |problem| Error::Folded {
            line: index + 1,
            problem,
        };
        let (stack, count) = split(&text).ok_or(fail("no count after the stack"))?;
        if stack.is_empty() {
            return Err(fail("no stack before the count"));
        }
        let count: i64 = count
            .parse()
            .map_err(|_| fail("the count is not a whole number"))?;
        if profile.sample_count() >= limits.samples {
            return Err(Error::TooMany {
                what: "samples",
                got: index + 1,
                limit: limits.samples,
            });
        }
        let mut node = NodeId::ROOT;
        for (depth, name) in frames(stack).enumerate() {
            if depth >= limits.depth {
                return Err(Error::TooDeep {
                    index,
                    depth: stack.split(';').count(),
                    limit: limits.depth,
                });
            }
            if name.len() > limits.string {
                return Err(Error::TooLong {
                    what: "frame name",
                    got: name.len(),
                    limit: limits.string,
                });
            }
            let location = profile.named_location(&name);
            node = profile.stacks.child(node, location);
        }
        if profile.stacks.len() > limits.nodes {
            let got = profile.stacks.len();
            return Err(Error::TooMany {
                what: "distinct stack frames",
                got,
                limit: limits.nodes,
            });
        }
        profile.add_sample(node, crate::LabelSetId(0), &[count]);
    }
    if profile.sample_count() == 0 {
        return Err(Error::Folded {
            line: 1,
            problem: "no stacks",
        });
    }
    Ok(profile)
}

/// Number of bytes that [`encode`] would return, up to the escapes and the digits of the counts. A line has all
/// names of its stack, so few nodes can make a long text.
pub fn encoded_bytes(tree: &FlameTree) -> u64 {
    let names: Vec<u64> = (0..tree.frames.len())
        .map(|frame| tree.frame_name(frame as u32).len() as u64 + 1)
        .collect();
    let mut paths = vec![0u64; tree.stacks.len()];
    let mut bytes = 0u64;
    for node in 1..tree.stacks.len() {
        let parent = tree.stacks.parents()[node] as usize;
        paths[node] = paths[parent] + names[tree.stacks.items()[node] as usize];
        if tree.values[node] != 0 {
            bytes = bytes.saturating_add(paths[node] + 2);
        }
    }
    bytes
}

/// Encodes one line for each stack that has a value, the children of a node in order of their ids.
///
/// The names are escaped as described in the [module](self). [`decode`] restores them.
pub fn encode(tree: &FlameTree) -> String {
    let names: Vec<String> = (0..tree.frames.len())
        .map(|frame| escape(&tree.frame_name(frame as u32)).into_owned())
        .collect();
    let mut out = String::new();
    let mut path = String::new();
    // Length of the path at each depth.
    let mut ends: Vec<usize> = vec![0];
    tree.walk(|node, depth| {
        if node != NodeId::ROOT {
            ends.truncate(depth);
            path.truncate(ends[depth - 1]);
            if depth > 1 {
                path.push(';');
            }
            path.push_str(&names[tree.stacks.item(node) as usize]);
            ends.push(path.len());
        }
        let value = tree.values[node.index()];
        if value != 0 {
            out.push_str(if node == NodeId::ROOT {
                NO_STACK
            } else {
                path.as_str()
            });
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    });
    if out.starts_with(BYTE_ORDER_MARK) {
        // Readers remove one mark.
        out.insert(0, BYTE_ORDER_MARK);
    }
    out
}

/// The name of a frame as it is written in a line, escaped as described in the [module](self).
pub fn escape(name: &str) -> Cow<'_, str> {
    if name == NO_STACK {
        return Cow::Borrowed(NO_STACK_ESCAPED);
    }
    replaced(name, |at, c| {
        let sequence = match c {
            ';' => "%3B",
            '\n' => "%0A",
            '\r' => "%0D",
            '\0' => "%00",
            '#' if at == 0 && comment(name).is_some() => "%23",
            ' ' if is_end(name, at, 1) => "%20",
            '\t' if is_end(name, at, 1) => "%09",
            '%' if sequence_at(name, at).is_some() => "%25",
            _ => return None,
        };
        Some((sequence, 1))
    })
}

/// The name of a frame from its form in a line: restores what [`escape`] replaced.
pub fn unescape(name: &str) -> Cow<'_, str> {
    // Nearly no name has one.
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    replaced(name, |at, c| {
        let text = (c == '%').then(|| sequence_at(name, at))??;
        Some((text, SEQUENCE_LENGTH))
    })
}

/// Length of `%3B`.
const SEQUENCE_LENGTH: usize = 3;

/// The text that the escape sequence at a `%` stands for, if one begins there.
fn sequence_at(name: &str, at: usize) -> Option<&'static str> {
    Some(match name.as_bytes().get(at + 1..at + SEQUENCE_LENGTH)? {
        b"3B" => ";",
        b"0A" => "\n",
        b"0D" => "\r",
        b"00" => "\0",
        b"25" => "%",
        b"20" if is_end(name, at, SEQUENCE_LENGTH) => " ",
        b"09" if is_end(name, at, SEQUENCE_LENGTH) => "\t",
        b"23" if at == 0 => "#",
        b"28" if name == NO_STACK_ESCAPED => "(",
        _ => return None,
    })
}

/// Whether a part of a name is at its start or its end.
fn is_end(name: &str, at: usize, length: usize) -> bool {
    at == 0 || at + length == name.len()
}

/// Replaces parts of a text. `replace` gets the position of a character and the character, and returns the
/// replacement and the number of bytes that it replaces.
fn replaced(
    text: &str,
    replace: impl Fn(usize, char) -> Option<(&'static str, usize)>,
) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for (at, c) in text.char_indices() {
        if at >= copied
            && let Some((replacement, length)) = replace(at, c)
        {
            out.push_str(&text[copied..at]);
            out.push_str(replacement);
            copied = at + length;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
