//! Lines of folded stacks, as Arc Lamp's clients publish them and its logs have them.

/// Maximum length of a line, in bytes. A stack of 250 frames, the most that the client sends, takes 20 KB.
pub(crate) const LENGTH: usize = 1 << 20;

/// Why a line is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has no stack, or no count after it.
    Malformed,
    /// It is longer than [`LENGTH`].
    TooLong,
}

/// A stack and how often it was sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) stack: &'a [u8],
    pub(crate) count: i64,
}

/// Splits a line into the stack and the count, which follows the last space.
pub(crate) fn parse(line: &[u8]) -> Result<Line<'_>, Fault> {
    let line = line.trim_ascii_end();
    if line.len() > LENGTH {
        return Err(Fault::TooLong);
    }
    let at = line.iter().rposition(|byte| *byte == b' ');
    let (stack, digits) = line.split_at(at.ok_or(Fault::Malformed)?);
    let stack = stack.trim_ascii();
    // Excimer begins some stacks with a frame without a name.
    let named = stack.iter().position(|byte| *byte != b';');
    let stack = &stack[named.unwrap_or(stack.len())..];
    let count = std::str::from_utf8(&digits[1..]).ok();
    let count: Option<i64> = count.and_then(|text| text.parse().ok());
    match count.filter(|count| *count > 0 && *count <= COUNT) {
        Some(count) if !stack.is_empty() => Ok(Line { stack, count }),
        _ => Err(Fault::Malformed),
    }
}

/// The largest count of a line. A timer that was late counts once for each period: a year of them at 1 ms.
const COUNT: i64 = 31_536_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_follows_the_last_space() {
        let parsed = |line: &str| parse(line.as_bytes()).map(|of| (of.stack.to_vec(), of.count));
        let good = |stack: &str, count| Ok((stack.as_bytes().to_vec(), count));
        assert_eq!(parsed("/w/index.php;A::b 1"), good("/w/index.php;A::b", 1));
        assert_eq!(parsed("index.php;f g 12\n"), good("index.php;f g", 12));
        assert_eq!(parsed("a  3\r\n"), good("a", 3));
        assert_eq!(parsed(";;/w/index.php;;f 3"), good("/w/index.php;;f", 3));
        for bad in [
            "",
            " ",
            "a",
            " 1",
            "a 0",
            "a -1",
            "a 1.5",
            "a x",
            "a 99999999999999999999",
        ] {
            assert_eq!(parsed(bad), Err(Fault::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn longest_line_is_taken_and_a_longer_one_is_not() {
        let line = |length: usize| [&vec![b'a'; length - 2], &b" 1"[..]].concat();
        assert!(parse(&line(LENGTH)).is_ok());
        assert_eq!(parse(&line(LENGTH + 1)), Err(Fault::TooLong));
    }
}
