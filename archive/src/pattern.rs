//! Regular expressions in queries.

use regex::{Regex, RegexBuilder};

/// Compiles a pattern whose compiled form takes at most `bytes`. The error is one line that shows
/// the pattern as it was written, and the column (from 1) of the fault.
pub(crate) fn compile(pattern: &str, bytes: usize) -> Result<Regex, String> {
    build(pattern, pattern, bytes)
}

/// Like [`compile`], for a pattern that must match the whole text.
pub(crate) fn compile_anchored(pattern: &str, bytes: usize) -> Result<Regex, String> {
    build(pattern, &format!("^(?s:{pattern})$"), bytes)
}

fn build(pattern: &str, whole: &str, bytes: usize) -> Result<Regex, String> {
    let fault = |what: &dyn std::fmt::Display, column: usize| {
        format!("invalid regular expression \"{pattern}\": {what} at column {column}")
    };
    // Parsed without the anchors, so that columns refer to the pattern as written, and `)(` is an
    // error instead of closing the anchors' group.
    match regex_syntax::parse(pattern) {
        Ok(_) => {}
        Err(regex_syntax::Error::Parse(error)) => {
            return Err(fault(error.kind(), error.span().start.column));
        }
        Err(regex_syntax::Error::Translate(error)) => {
            return Err(fault(error.kind(), error.span().start.column));
        }
        Err(_) => return Err(format!("invalid regular expression \"{pattern}\"")),
    }
    let built = RegexBuilder::new(whole)
        .size_limit(bytes)
        .dfa_size_limit(bytes)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!(
            "invalid regular expression \"{pattern}\": it compiles to more than {limit} bytes, the limit"
        ),
        _ => format!("invalid regular expression \"{pattern}\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_line_with_the_original_pattern_and_column() {
        let check = |pattern: &str, expected: &str| {
            let error = compile_anchored(pattern, 1 << 18).expect_err(pattern);
            assert_eq!(error, expected);
        };
        check(
            "(",
            "invalid regular expression \"(\": unclosed group at column 1",
        );
        check(
            ")(",
            "invalid regular expression \")(\": unopened group at column 1",
        );
        check(
            "ab[z-a]",
            "invalid regular expression \"ab[z-a]\": invalid character class range, the start must be <= the end at column 4",
        );
        let large = compile("(\\w{100}){100}", 1 << 18).expect_err("too large");
        assert!(
            large.contains("compiles to more than 262144 bytes"),
            "{large}"
        );
    }

    #[test]
    fn anchored_pattern_matches_the_whole_text() {
        let regex = compile_anchored("a|b.*", 1 << 18).expect("valid");
        assert!(regex.is_match("b\nx") && regex.is_match("a"));
        assert!(!regex.is_match("ax") && !regex.is_match("xa"));
    }
}
