//! Label selectors in the syntax of Prometheus: `{service_name="x",member=~"gc.*",op!=""}`.

use crate::labels::{SERVICE, SPANS, TRACES};
use crate::pattern;
use crate::spans::{Only, span_id, trace_id};
use davy_profile::flame::UNTAGGED;
use regex::Regex;

#[derive(Clone, Debug)]
enum Matcher {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Matcher {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(expected) => value == expected,
            Self::NotEqual(expected) => value != expected,
            Self::Matches(regex) => regex.is_match(value),
            Self::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}

/// Selects series by matchers of their labels, all of which must match. The value of an absent label is
/// empty; `="(untagged)"` and `!="(untagged)"` test for that, too, because flame graphs show it so.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    matchers: Vec<(String, Matcher)>,
    only: Only,
    text: String,
}

/// Maximum length of a selector, in bytes.
const BYTES: usize = 8 << 10;
/// Maximum number of matchers of a selector.
const MATCHERS: usize = 32;
/// Maximum size of a compiled regular expression, in bytes.
const REGEX_BYTES: usize = 256 << 10;

impl Selector {
    /// Parses a selector; an empty text selects everything. The error names the fault and its column.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES {
            return Err(format!(
                "invalid selector: {} bytes long, the limit is {BYTES}",
                text.len()
            ));
        }
        // `rest` is always a suffix of `text`, so its length gives the column.
        let text = text.trim_end();
        let mut rest = text.trim_start();
        let wrong = |rest: &str, what: &str| {
            let column = text[..text.len() - rest.len()].chars().count() + 1;
            Err(format!(
                "invalid selector {text:?}: {what} at column {column}; example: {{service_name=\"api\",op=~\"List.*\"}}"
            ))
        };
        let mut matchers = Vec::new();
        if !rest.is_empty() {
            let Some(inner) = rest.strip_prefix('{') else {
                return wrong(rest, "expected `{`");
            };
            rest = inner.trim_start();
            while !rest.starts_with('}') {
                if matchers.len() == MATCHERS {
                    return Err(format!("invalid selector: more than {MATCHERS} matchers"));
                }
                let end = rest.find(['=', '!']).unwrap_or(rest.len());
                let name = rest[..end].trim();
                let name = name
                    .strip_prefix('"')
                    .and_then(|name| name.strip_suffix('"'))
                    .unwrap_or(name);
                if name.is_empty() || name.contains(['"', ',', '{', '}']) {
                    return wrong(rest, "expected a label name");
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
                    pattern::compile_anchored(value, REGEX_BYTES)
                        .map_err(|error| format!("invalid selector: {error}"))
                };
                let matcher = match operator {
                    "=~" => Matcher::Matches(regex(&value)?),
                    "!~" => Matcher::MatchesNot(regex(&value)?),
                    "!=" => Matcher::NotEqual(absent_if_shown_so(value)),
                    _ => Matcher::Equal(absent_if_shown_so(value)),
                };
                matchers.push((name.to_owned(), matcher));
                rest = after.trim_start();
                match rest.strip_prefix(',') {
                    Some(after) => rest = after.trim_start(),
                    None if rest.starts_with('}') => {}
                    None => return wrong(rest, "expected `,` or `}`"),
                }
            }
            rest = rest[1..].trim_start();
            if !rest.is_empty() {
                return wrong(rest, "unexpected text");
            }
        }
        Ok(Self {
            matchers,
            only: Only::default(),
            text: text.trim().to_owned(),
        })
    }

    /// Selects the series of one service, whatever its name contains.
    pub fn of_service(service: &str) -> Self {
        Self {
            matchers: vec![(SERVICE.to_owned(), Matcher::Equal(service.to_owned()))],
            only: Only::default(),
            text: format!("{{{SERVICE}={service:?}}}"),
        }
    }

    /// Parses the selector of a query, in which `span_id`, `profile_id` and `trace_id` select the values of a span or
    /// trace, which are not labels of series.
    pub fn of_query(text: &str) -> Result<Self, String> {
        let mut selector = Self::parse(text)?;
        let mut only = Only::default();
        selector.matchers.retain(|(name, matcher)| {
            let Matcher::Equal(value) = matcher else {
                return true;
            };
            let name = name.as_str();
            let of_span = SPANS.contains(&name).then(|| span_id(value)).flatten();
            let of_trace = TRACES.contains(&name).then(|| trace_id(value)).flatten();
            only.spans.extend(of_span);
            only.traces.extend(of_trace);
            of_span.is_none() && of_trace.is_none()
        });
        selector.only = only;
        Ok(selector)
    }

    /// Selects only the values of these spans, traces and profiles, too; the text does not say so.
    #[must_use]
    pub fn with_only(mut self, only: Only) -> Self {
        self.only.spans.extend(only.spans);
        self.only.traces.extend(only.traces);
        self.only.profiles.extend(only.profiles);
        self
    }

    /// The spans, traces and profiles whose values are selected.
    pub fn only(&self) -> &Only {
        &self.only
    }

    /// Whether a series is selected; `value` returns the value of a label, "" if there is none.
    pub fn selects<'a>(&self, value: impl Fn(&str) -> &'a str) -> bool {
        let mut matchers = self.matchers.iter();
        matchers.all(|(name, matcher)| matcher.matches(value(name)))
    }

    /// Whether series of this service can be selected.
    pub fn selects_service(&self, service: &str) -> bool {
        self.matchers
            .iter()
            .filter(|(name, _)| name == SERVICE)
            .all(|(_, matcher)| matcher.matches(service))
    }

    /// Whether it has no matchers, so that it selects everything.
    pub fn is_empty(&self) -> bool {
        self.matchers.is_empty() && self.only.is_all()
    }

    /// Whether it selects one service by its name.
    pub fn names_service(&self) -> bool {
        let is_name = |of: &(String, Matcher)| of.0 == SERVICE && matches!(of.1, Matcher::Equal(_));
        self.matchers.iter().any(is_name)
    }

    /// Names of the labels that its matchers test.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.matchers.iter().map(|(name, _)| name.as_str())
    }

    /// The value that a label must be equal to, if a matcher requires that.
    pub fn equal_to(&self, label: &str) -> Option<&str> {
        self.matchers
            .iter()
            .find_map(|(name, matcher)| match matcher {
                Matcher::Equal(value) if name == label => Some(value.as_str()),
                _ => None,
            })
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The value of an absent label, if this is how it is shown.
fn absent_if_shown_so(value: String) -> String {
    if value == UNTAGGED {
        String::new()
    } else {
        value
    }
}

/// Parses a text in double quotes, single quotes or backticks. Returns it and the rest.
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
                // As in `"gc\.x"`: a backslash that was not doubled belongs to the regular expression.
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
    use crate::format::batch::Series;
    use crate::format::header::Header;
    use crate::labels::Labels;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn selector_matches_labels_of_source_and_samples() {
        let series = Series {
            source: 0,
            kind: "cpu".into(),
            labels: labels(&[("member", "gc.volumes"), ("op", "Sweep")]).into(),
            header: Header {
                build_id: "4f6d".to_owned(),
                ..Header::default()
            }
            .into(),
        };
        let source = labels(&[("service_name", "web"), ("region", "eu"), ("op", "none")]);
        let check = |text: &str, expected: bool| {
            let selector = Selector::parse(text).unwrap_or_else(|error| panic!("{error}"));
            let selects = selector.selects(|name| series.label(name, &source));
            assert_eq!(selects, expected, "{text}");
        };
        check("{build_id=\"4f6d\"}", true);
        check("{build_id=\"1234\"}", false);
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
        check("{absent=\"(untagged)\"}", true);
        check("{absent!=\"(untagged)\"}", false);
        check("{member=\"(untagged)\"}", false);
        check("{member!=\"(untagged)\"}", true);
        check("{region=`eu`,service_name='web'}", true);
        check("{region=\"e\\\"u\"}", false);
    }

    #[test]
    fn selector_of_a_query_takes_ids_of_spans_from_the_labels() {
        let text = "{service_name=\"web\",trace_id=\"A1\",span_id=\"b2\",profile_id=\"c3\"}";
        let selector = Selector::of_query(text).expect("valid");
        let only = Only {
            spans: [0xb2, 0xc3].into(),
            traces: [0xa1].into(),
            profiles: [].into(),
        };
        assert_eq!((selector.only(), selector.text()), (&only, text));
        let web = labels(&[("service_name", "web")]);
        assert!(selector.selects(|name| web.get(name)));
        // What is not an id is a label.
        let selector = Selector::of_query("{span_id=\"none\",trace_id!=\"a1\"}").expect("valid");
        assert!(selector.only().is_all() && !selector.selects(|name| web.get(name)));
        // Rules select series.
        let selector = Selector::parse("{trace_id=\"a1\"}").expect("valid");
        assert!(selector.only().is_all() && !selector.selects(|name| web.get(name)));
    }

    #[test]
    fn invalid_selector_is_reported_with_fault_and_column() {
        let check = |text: &str, expected: &str| {
            let error = Selector::parse(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        };
        check("x", "expected `{` at column 1");
        check("{a}", "expected a label name");
        check("{a=b}", "expected a quoted value at column 4");
        check("{a=\"b}", "expected a quoted value");
        check("{a=\"b\" c=\"d\"}", "expected `,` or `}`");
        check(" {\u{c820} \n", "expected =, !=, =~ or !~ at column 4");
        check("{a=\u{c820}  ", "expected a quoted value at column 4");
        check("{}\u{c820} \t", "unexpected text at column 3");
        check(
            "{a=~\"(\"}",
            "invalid regular expression \"(\": unclosed group at column 1",
        );
        check("{a=\"b\"} x", "unexpected text");
        check("{a=\"b\"", "expected `,` or `}`");
        check(
            &format!("{{{}}}", "a=~\"b.*\",".repeat(33)),
            "more than 32 matchers",
        );
        check(&"x".repeat(9_000), "9000 bytes long");
        check("{a=~\"(\\\\w{100}){100}\"}", "compiles to more than");
    }
}
