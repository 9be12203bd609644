//! Codec of folded stacks: one line for each stack, `root;caller;leaf 42`.
//!
//! Format: <https://github.com/brendangregg/FlameGraph> (`stackcollapse-*.pl`). The count follows the
//! last space, so names may contain spaces.

use crate::{Error, FlameTree, Limits, NodeId, Profile};

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
        if count < 0 {
            return Err(fail("the count is negative"));
        }
        if profile.sample_count() >= limits.samples {
            return Err(Error::TooMany {
                what: "samples",
                got: index + 1,
                limit: limits.samples,
            });
        }
        let mut node = NodeId::ROOT;
        for (depth, name) in stack.split(';').enumerate() {
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
            let location = profile.named_location(name);
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
/// In names, `;` is replaced by `:`, and line breaks and NUL by `_`.
pub fn encode(tree: &FlameTree) -> String {
    let names: Vec<String> = (0..tree.frames.len())
        .map(|frame| clean(&tree.frame_name(frame as u32)))
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
        if value != 0 && node != NodeId::ROOT {
            out.push_str(&path);
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    });
    out
}

fn clean(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            ';' => ':',
            '\n' | '\r' | '\0' => '_',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flame::Grain;

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
            "a;b -1",
            Err(Error::Folded {
                line: 1,
                problem: "the count is negative",
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
