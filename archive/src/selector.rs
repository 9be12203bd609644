//! Selectors of series, in Prometheus' syntax: `{service_name="x",member=~"gc.*",op!=""}`.

use crate::labels::{Labels, SERVICE};
use regex::{Regex, RegexBuilder};

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(expected) => value == expected,
            Self::NotEqual(expected) => value != expected,
            Self::Matches(regex) => regex.is_match(value),
            Self::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}

/// Tests of labels, all of which must hold. A label that a series lacks is empty.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    tests: Vec<(String, Test)>,
    text: String,
}

/// Bytes of a selector, at most.
const BYTES: usize = 8 << 10;
/// Tests of a selector, at most.
const TESTS: usize = 32;
/// Bytes of one compiled regular expression, at most.
const REGEX_BYTES: usize = 256 << 10;

impl Selector {
    /// Reads a selector; an empty text selects everything. The error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES {
            return Err(format!(
                "the selector is {} bytes long, the limit is {BYTES}",
                text.len()
            ));
        }
        let mut rest = text.trim();
        let wrong = |rest: &str, what: &str| {
            let at = text.len() - rest.len();
            Err(format!(
                "selector: {what} at character {at} of `{text}`; write {{name=\"value\",other=~\"regex.*\"}}"
            ))
        };
        let mut tests = Vec::new();
        if !rest.is_empty() {
            let Some(inner) = rest.strip_prefix('{') else {
                return wrong(rest, "expected `{`");
            };
            rest = inner.trim_start();
            while !rest.starts_with('}') {
                if tests.len() == TESTS {
                    return Err(format!(
                        "selector: there are more than {TESTS} tests, the limit"
                    ));
                }
                let end = rest.find(['=', '!']).unwrap_or(rest.len());
                let name = rest[..end].trim();
                let name = name
                    .strip_prefix('"')
                    .and_then(|name| name.strip_suffix('"'))
                    .unwrap_or(name);
                if name.is_empty() || name.contains(['"', ',', '{', '}']) {
                    return wrong(rest, "expected the name of a label");
                }
                rest = &rest[end..];
                let operators = ["=~", "!~", "!=", "="];
                let Some(operator) = operators
                    .into_iter()
                    .find(|operator| rest.starts_with(operator))
                else {
                    return wrong(rest, "expected =, !=, =~ or !~");
                };
                rest = rest[operator.len()..].trim_start();
                let Some((value, after)) = quoted(rest) else {
                    return wrong(rest, "expected a quoted value");
                };
                let regex = |value: &str| {
                    RegexBuilder::new(&format!("^(?s:{value})$"))
                        .size_limit(REGEX_BYTES)
                        .dfa_size_limit(REGEX_BYTES)
                        .build()
                        .map_err(|error| {
                            format!("selector: `{value}` is not a regular expression: {error}")
                        })
                };
                let test = match operator {
                    "=~" => Test::Matches(regex(&value)?),
                    "!~" => Test::MatchesNot(regex(&value)?),
                    "!=" => Test::NotEqual(value),
                    _ => Test::Equal(value),
                };
                tests.push((name.to_owned(), test));
                rest = after.trim_start();
                match rest.strip_prefix(',') {
                    Some(after) => rest = after.trim_start(),
                    None if rest.starts_with('}') => {}
                    None => return wrong(rest, "expected `,` or `}`"),
                }
            }
            rest = rest[1..].trim();
            if !rest.is_empty() {
                return wrong(rest, "unexpected text");
            }
        }
        Ok(Self {
            tests,
            text: text.trim().to_owned(),
        })
    }

    /// Whether a series is selected. The labels of samples win over those of their source.
    pub fn selects(&self, source: &Labels, sample: &Labels) -> bool {
        self.tests.iter().all(|(name, test)| {
            let value = sample.get(name);
            test.holds(if value.is_empty() {
                source.get(name)
            } else {
                value
            })
        })
    }

    /// Whether series of this service can be selected.
    pub fn selects_service(&self, service: &str) -> bool {
        self.tests
            .iter()
            .filter(|(name, _)| name == SERVICE)
            .all(|(_, test)| test.holds(service))
    }

    /// The text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Reads a text in double or single quotes or backticks; gives what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let mut value = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Some((value, &text[1 + at + 1..])),
            '\\' if quote != '`' => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                escaped @ ('\\' | '"' | '\'') => value.push(escaped),
                // As in `"gc\.x"`: people forget to double it, and mean the regular expression's.
                other => value.extend(['\\', other]),
            },
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn selectors_select() {
        let source = labels(&[("service_name", "web"), ("region", "eu"), ("op", "none")]);
        let sample = labels(&[("member", "gc.volumes"), ("op", "Sweep")]);
        let check = |text: &str, expected: bool| {
            let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(selector.selects(&source, &sample), expected, "{text}");
        };
        check("", true);
        check("{}", true);
        check("{ service_name = \"web\" , member=~\"gc.*\", }", true);
        check("{member=~\"gc\"}", false);
        check("{member=~\"gc|gc\\\\.vol.*\"}", true);
        check("{member=~\"gc\\.vol.*\"}", true);
        check("{member!~\"gc.*\"}", false);
        check("{op=\"Sweep\"}", true);
        check("{member=~`[\\w-]+[.]\\w+`,op=~`(?i)sw\\w+`}", true);
        check("{absent=\"\"}", true);
        check("{absent!=\"\"}", false);
        check("{region=`eu`,service_name='web'}", true);
        check("{region=\"e\\\"u\"}", false);
    }

    #[test]
    fn broken_selectors_say_where() {
        let check = |text: &str, expected: &str| {
            let error = Selector::parse(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        };
        check("x", "expected `{` at character 0");
        check("{a}", "expected the name of a label");
        check("{a=b}", "expected a quoted value at character 3");
        check("{a=\"b}", "expected a quoted value");
        check("{a=\"b\" c=\"d\"}", "expected `,` or `}`");
        check("{a=~\"(\"}", "not a regular expression");
        check("{a=\"b\"} x", "unexpected text");
        check("{a=\"b\"", "expected `,` or `}`");
        check(
            &format!("{{{}}}", "a=~\"b.*\",".repeat(33)),
            "more than 32 tests",
        );
        check(&"x".repeat(9_000), "9000 bytes long");
        check("{a=~\"(\\\\w{100}){100}\"}", "not a regular expression");
    }
}
