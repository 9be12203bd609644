//! Codec of folded stacks: one line for each stack, `root;caller;leaf 42`.
//!
//! Format: <https://github.com/brendangregg/FlameGraph> (`stackcollapse-*.pl`). The count follows the
//! last space, so names may contain spaces and end in numbers. It may be negative.
//!
//! Some names would not survive as they are. [`encode`] escapes them and [`decode`] restores them:
//!
//! | in a name | is written as |
//! |---|---|
//! | `;`, line feed, carriage return, NUL | `%3B`, `%0A`, `%0D`, `%00` |
//! | a space or tab at the start or end of the name | `%20`, `%09` |
//! | the name `(no stack)` | `%28no stack)` |
//! | `%` where one of these sequences would otherwise begin | `%25` |
//!
//! All other names are written unchanged, including those with other `%` and with `\`. Conversely, only
//! these sequences are decoded, in upper case and in these places: `100%`, `a%20b` and `%3b` are
//! ordinary names.
//!
//! Samples without a stack have the line `(no stack) 42`.

use crate::{Error, FlameTree, Limits, NodeId, Profile};
use std::borrow::Cow;

/// The stack of samples without a stack.
pub const NO_STACK: &str = "(no stack)";
/// [`NO_STACK`] as the name of a frame.
const NO_STACK_ESCAPED: &str = "%28no stack)";

/// Decodes folded stacks into a profile with the sample type `samples` in the unit `count`.
///
/// Empty lines are skipped. A line without a count, or with one that is not a whole number, is an
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
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        let fail = |problem| Error::Folded {
            line: index + 1,
            problem,
        };
        let text = String::from_utf8_lossy(line);
        let (stack, count) = text
            .rsplit_once([' ', '\t'])
            .ok_or(fail("no count after the stack"))?;
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
        let frames = (stack != NO_STACK).then(|| stack.split(';'));
        for (depth, name) in frames.into_iter().flatten().enumerate() {
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
            let location = profile.named_location(&unescape(name));
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
mod tests {
    use super::*;
    use crate::flame::Grain;
    use std::collections::BTreeMap;

    fn check(input: &str, expected: Result<&str, Error>) {
        let got = decode(input.as_bytes(), &Limits::default()).map(|profile| {
            let mut tree = FlameTree::new();
            tree.add_profile(&profile, 0, Grain::Function);
            encode(&tree)
        });
        assert_eq!(got.as_deref(), expected.as_ref().map(|e| *e), "{input:?}");
    }

    #[test]
    fn folded_stacks_survive_a_round_trip() {
        check("a;b;c 3\na;b 4\nx y;z 5\n", Ok("a;b 4\na;b;c 3\nx y;z 5\n"));
        check("\n\na 1\r\na 2", Ok("a 3\n"));
        check(
            "/srv/mediawiki/w/index.php;A::b;{closure:/p/f.php(5)} 1",
            Ok("/srv/mediawiki/w/index.php;A::b;{closure:/p/f.php(5)} 1\n"),
        );
    }

    #[test]
    fn names_are_escaped_only_where_they_would_not_survive() {
        let check = |name: &str, escaped: &str| {
            assert_eq!(escape(name), escaped);
            assert_eq!(unescape(escaped), name);
        };
        for unchanged in [
            "",
            "main",
            "100%",
            "a%20b",
            "GET /a%2Fb%3b",
            "%",
            "%2",
            "App\\Http\\n::x3b",
            "worker 7",
            "worker 1.5 7",
            "# comment",
            "f_[k]",
            "a  b\tc",
            "\u{85}\u{a0}\u{1b}",
            "no stack",
            "(no stack) ",
            "\u{1f980}",
        ] {
            let expected = if unchanged == "(no stack) " {
                "(no stack)%20"
            } else {
                unchanged
            };
            check(unchanged, expected);
        }
        check("[u8; 8]", "[u8%3B 8]");
        check("a\nb\rc\0", "a%0Ab%0Dc%00");
        check(" a ", "%20a%20");
        check("\ta\t", "%09a%09");
        check(" ", "%20");
        check("   ", "%20 %20");
        check("%3B", "%253B");
        check("%25", "%2525");
        check("%;", "%%3B");
        check("%3;", "%3%3B");
        check("%%20", "%%2520");
        check("%20", "%2520");
        check("x%20", "x%2520");
        check("%20x", "%2520x");
        check("(no stack)", "%28no stack)");
        check("%28no stack)", "%2528no stack)");
        check("%28", "%28");
    }

    #[test]
    fn samples_without_a_stack_and_negative_values_survive_a_round_trip() {
        check("(no stack) 7\na -3\n", Ok("(no stack) 7\na -3\n"));
        check(
            "(no stack);a 1\n%28no stack) 2",
            Ok("%28no stack) 2\n%28no stack);a 1\n"),
        );
        let profile = decode(b"a 1\n(no stack) 7", &Limits::default()).expect("decode the stacks");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        assert_eq!((tree.values[0], tree.stacks.len()), (7, 2));
    }

    /// A xorshift generator: the same trees in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) as usize % limit
        }

        fn name(&mut self) -> String {
            const PARTS: [&str; 30] = [
                ";",
                " ",
                "\t",
                "\n",
                "\r",
                "\0",
                "%",
                "%3B",
                "%20",
                "%09",
                "%25",
                "%28",
                "3B",
                "0A",
                "20",
                "5",
                "a",
                "b",
                "\\",
                "(no stack)",
                "no stack)",
                "7",
                "-1",
                "\u{a0}",
                "\u{85}",
                "#",
                "_[k]",
                "\u{1f980}",
                "\u{202e}",
                "\u{1b}",
            ];
            (0..self.below(6))
                .map(|_| PARTS[self.below(PARTS.len())])
                .collect()
        }
    }

    #[test]
    fn random_trees_survive_encoding_and_decoding() {
        for seed in 1..500 {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
            let mut tree = FlameTree::new();
            for _ in 0..40 {
                let parent = random.below(tree.stacks.len()) as u32;
                let name = random.name();
                let frame = tree.named_frame(&name, crate::FrameKind::Function);
                let node = tree.child(NodeId(parent), frame);
                tree.add(node, random.below(100) as i64 - 50);
            }
            tree.add(NodeId::ROOT, random.below(3) as i64 - 1);
            let text = encode(&tree);
            let profile = decode(text.as_bytes(), &Limits::default()).expect("decode the stacks");
            let mut back = FlameTree::new();
            back.add_profile(&profile, 0, Grain::Function);
            assert_eq!(stacks(&back), stacks(&tree), "seed {seed}:\n{text}");
        }
    }

    /// The value of each stack by the names of its frames.
    fn stacks(tree: &FlameTree) -> BTreeMap<Vec<String>, i64> {
        let mut path: Vec<String> = Vec::new();
        let mut stacks = BTreeMap::new();
        tree.walk(|node, depth| {
            if node != NodeId::ROOT {
                path.truncate(depth - 1);
                path.push(tree.frame_name(tree.stacks.item(node)).into_owned());
            }
            let value = tree.values[node.index()];
            if value != 0 {
                *stacks.entry(path.clone()).or_default() += value;
            }
        });
        stacks
    }

    #[test]
    fn errors_name_the_invalid_line() {
        check(
            "a 1\nb",
            Err(Error::Folded {
                line: 2,
                problem: "no count after the stack",
            }),
        );
        check(
            "a;b x",
            Err(Error::Folded {
                line: 1,
                problem: "the count is not a whole number",
            }),
        );
        check(
            "a;b 99999999999999999999",
            Err(Error::Folded {
                line: 1,
                problem: "the count is not a whole number",
            }),
        );
        check(
            "\n",
            Err(Error::Folded {
                line: 1,
                problem: "no stacks",
            }),
        );
    }

    #[test]
    fn stack_of_a_million_frames_is_too_deep() {
        let line = format!("{}x 1", "x;".repeat(1_000_000));
        let error = decode(line.as_bytes(), &Limits::default()).expect_err("too deep");
        assert!(
            matches!(
                error,
                Error::TooDeep {
                    depth: 1_000_001,
                    ..
                }
            ),
            "{error}"
        );
    }
}
