//! Folded stacks: one line for each stack, `root;caller;leaf 42`, also with the headers of Austin.
//!
//! Lines are split, and names are restored, as [`davy_profile::folded`] describes; counts may also be fractions.
//! Formats: <https://github.com/brendangregg/FlameGraph> (`stackcollapse-*.pl`),
//! <https://github.com/P403n1x87/austin>.

use crate::austin::{Full, Headers, Metric};
use crate::builder::Builder;
use crate::decimal::{self, Problem};
use crate::{Error, Format, Import, Named, Options, Skipped, text};
use davy_profile::{LabelSetId, folded};

/// The reason for which a line without white space is invalid.
pub(crate) const NO_COUNT: &str = "no count after the stack";

/// Decodes folded stacks. Invalid lines are skipped if there is a valid one.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let text = text::decode(bytes);
    if let Some(excerpt) = glued(&text) {
        return Err(Error::Glued { excerpt });
    }
    let mut headers = Headers::default();
    let mut skipped = Skipped::default();
    let mut target: Option<(Metric<'_>, Builder)> = None;
    let mut full: Option<Full> = None;
    for (number, line) in text::lines(&text) {
        if line.is_empty() {
            continue;
        }
        if let Some((key, value)) = text::comment(line) {
            headers.read(key, value);
            continue;
        }
        let (stack, count) = match split(line) {
            Ok(parts) => parts,
            Err(reason) => {
                skipped.add(number, reason);
                continue;
            }
        };
        if headers.is_full(options) {
            let full = full.get_or_insert_with(|| Full::new(&headers, options));
            if let Some(reason) = full.add(stack, count)? {
                skipped.add(number, reason);
            }
            continue;
        }
        // A header after the first stack belongs to the end of the recording.
        let (metric, builder) = target.get_or_insert_with(|| {
            let metric = headers.metric(options);
            let builder = metric.builder(&headers, options);
            (metric, builder)
        });
        let value = match decimal::product(count, metric.scale) {
            Ok(value) => value,
            Err(Problem::Overflow) => {
                return Err(Error::Overflow {
                    place: format!("line {number}"),
                    count: count.to_owned(),
                    scale: metric.scale,
                });
            }
            Err(problem) => {
                skipped.add(number, reason(problem));
                continue;
            }
        };
        let node = builder.stack(folded::frames(stack))?;
        builder.add(node, LabelSetId(0), &[value])?;
    }
    let mut profiles: Vec<Named> = full
        .into_iter()
        .flat_map(|full| full.finish(&headers))
        .collect();
    if let Some((_, mut builder)) = target.filter(|(_, builder)| !builder.is_empty()) {
        builder.profile_mut().duration_nanos = headers.duration_nanos();
        profiles.push(builder.finish());
    }
    if profiles.is_empty() {
        let (line, problem) = skipped.first.unwrap_or((1, "no stacks"));
        return Err(Error::Line {
            format: Format::Folded,
            line,
            problem,
        });
    }
    Ok(Import { profiles, skipped })
}

/// Whether a line is a stack with a count.
pub(crate) fn is_stack(line: &str) -> bool {
    // Austin's mode full has three counts.
    let is_number = |count| !matches!(decimal::product(count, 1), Err(Problem::NotANumber));
    split(line).is_ok_and(|(_, counts)| counts.split(',').all(is_number))
}

/// The reason for which a line is not a stack with a count.
pub(crate) fn problem(line: &str) -> Option<&'static str> {
    match split(line) {
        Ok((_, count)) => decimal::product(count, 1).err().map(reason),
        Err(problem) => Some(problem),
    }
}

fn split(line: &str) -> Result<(&str, &str), &'static str> {
    let (stack, count) = folded::split(line).ok_or(NO_COUNT)?;
    if stack.is_empty() {
        return Err("no stack before the count");
    }
    Ok((stack, count))
}

fn reason(problem: Problem) -> &'static str {
    match problem {
        Problem::NotANumber => "the count is not a number",
        // A stack cannot have been observed fewer than zero times. Differences of profiles are
        // computed by the archive.
        Problem::Negative => "the count is negative",
        Problem::Overflow => "the count exceeds 64 bits",
    }
}

/// The place where a count is followed by the next stack, if the body is one line without a line
/// break: `a;b 10c;d 20`.
fn glued(text: &str) -> Option<String> {
    if text.contains('\n') {
        return None;
    }
    let root = text.split(';').next().unwrap_or_default();
    text.split(';').skip(1).find_map(|frame| {
        frame.match_indices(' ').find_map(|(space, _)| {
            let (name, rest) = (&frame[..space], &frame[space + 1..]);
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let next = &rest[digits..];
            let begins_stack = (next == root && !root.is_empty())
                || next.starts_with(|c: char| c.is_alphabetic() || "_/<[({$~".contains(c));
            // In `array<int, 10ul>` the number is inside of brackets; `0x1f` is an address.
            let is_glued = digits > 0
                && begins_stack
                && is_balanced(name)
                && !(rest.starts_with("0x") || rest.starts_with("0X"));
            is_glued.then(|| frame.chars().take(80).collect())
        })
    })
}

fn is_balanced(name: &str) -> bool {
    let count = |bytes: &[u8]| name.bytes().filter(|b| bytes.contains(b)).count();
    count(b"(<[{") == count(b")>]}") && !name.ends_with(',')
}

#[cfg(test)]
mod tests;
