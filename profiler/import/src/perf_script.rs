//! Output of `perf script`: a header for each sample, then its frames from the leaf to the root.
//!
//! ```text
//! comm  pid/tid [cpu] seconds:  period event:
//!         address symbol+0x12 (module)
//! ```
//!
//! Each event becomes a profile with the sample type `samples` and the sum of the periods. The first
//! frame is the command.

use crate::builder::Builder;
use crate::{Error, Format, Import, Options, Skipped, text};
use davy_profile::{Error as ProfileError, LabelSetId};
use std::borrow::Cow;

/// Events of one output.
const EVENTS: usize = 64;

/// The header of a sample.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    comm: &'a str,
    event: &'a str,
    period: i64,
    /// What follows the event: arguments of a tracepoint, or the only frame.
    rest: &'a str,
}

/// Whether a text begins with a sample, after comments.
pub(crate) fn is_sample(text: &str) -> bool {
    let mut lines = text::lines(text).map(|(_, line)| line);
    let first = lines.find(|line| !line.is_empty() && text::comment(line).is_none());
    first.and_then(header).is_some_and(|header| {
        frame(header.rest).is_some()
            || lines
                .next()
                .is_some_and(|line| line.is_empty() || frame(line).is_some())
    })
}

/// Decodes the output.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let text = text::decode(bytes);
    let mut skipped = Skipped::default();
    let mut events: Vec<(&str, Builder)> = Vec::new();
    let mut sample: Option<Header<'_>> = None;
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for (number, line) in text::lines(&text).chain([(0, "")]) {
        let next = header(line);
        if line.is_empty() || next.is_some() {
            if let Some(sample) = sample.take() {
                add(&mut events, &sample, &names, options)?;
            }
            names.clear();
            if let Some(next) = &next {
                names.extend(frame(next.rest));
            }
            sample = next;
        } else if text::comment(line).is_some() {
        } else if sample.is_none() {
            skipped.add(number, "neither the header of a sample nor a frame of one");
        } else if let Some(name) = frame(line) {
            names.push(name);
        }
        // Other lines of a sample are source lines or registers.
    }
    if events.is_empty() {
        let (line, problem) = skipped.first.unwrap_or((1, "no samples"));
        return Err(Error::Line {
            format: Format::PerfScript,
            line,
            problem,
        });
    }
    Ok(Import {
        profiles: events
            .into_iter()
            .map(|(_, builder)| builder.finish())
            .collect(),
        skipped,
    })
}

fn add<'a>(
    events: &mut Vec<(&'a str, Builder)>,
    sample: &Header<'a>,
    names: &[Cow<'_, str>],
    options: &Options<'_>,
) -> Result<(), Error> {
    let at = match events.iter().position(|(event, _)| *event == sample.event) {
        Some(at) => at,
        None if events.len() == EVENTS => {
            let (what, got, limit) = ("events", EVENTS + 1, EVENTS);
            return Err(ProfileError::TooMany { what, got, limit }.into());
        }
        None => {
            events.push((sample.event, builder(sample.event, options)));
            events.len() - 1
        }
    };
    let builder = &mut events[at].1;
    let frames = names.iter().rev().map(|name| &**name);
    let node = builder.stack(std::iter::once(sample.comm).chain(frames))?;
    builder.add(node, LabelSetId(0), &[1, sample.period])
}

/// A builder for an event. The periods of the CPU clocks are nanoseconds of CPU time.
fn builder(event: &str, options: &Options<'_>) -> Builder {
    let base = event.split(':').next().unwrap_or_default();
    let value_type = match base {
        "cpu-clock" | "task-clock" => ("cpu", "nanoseconds"),
        _ => (event, "count"),
    };
    Builder::new(
        "process_cpu",
        &[("samples", "count"), value_type],
        value_type,
        1,
        options,
    )
}

fn header(line: &str) -> Option<Header<'_>> {
    let (before, after) = line
        .match_indices(": ")
        .chain(line.strip_suffix(':').map(|l| (l.len(), ":")))
        .find_map(|(colon, _)| {
            let (before, time) = line[..colon].rsplit_once(' ')?;
            let (seconds, fraction) = time.split_once('.')?;
            let is_time = is_number(seconds) && is_number(fraction);
            is_time.then(|| {
                (
                    before.trim_end(),
                    line.get(colon + 1..).unwrap_or_default().trim_start(),
                )
            })
        })?;
    let before = match before.rsplit_once(' ') {
        Some((rest, cpu))
            if cpu.starts_with('[') && cpu.ends_with(']') && is_number(&cpu[1..cpu.len() - 1]) =>
        {
            rest.trim_end()
        }
        _ => before,
    };
    let (comm, pid) = before.rsplit_once(' ')?;
    if !pid
        .split('/')
        .all(|id| is_number(id.strip_prefix('-').unwrap_or(id)))
    {
        return None;
    }
    let (first, rest) = after.split_once(' ').unwrap_or((after, ""));
    let (period, after) = if is_number(first) {
        (first.parse().ok()?, rest.trim_start())
    } else {
        (1, after)
    };
    let (event, rest) = after.split_once(' ').unwrap_or((after, ""));
    let event = event.strip_suffix(':')?;
    let comm = comm.trim();
    (!event.is_empty()).then(|| Header {
        comm: if comm.is_empty() { "(unnamed)" } else { comm },
        event,
        period,
        rest: rest.trim(),
    })
}

/// The name of a frame: `address symbol+0x12 (module)`.
fn frame(line: &str) -> Option<Cow<'_, str>> {
    let (address, rest) = line.trim().split_once(' ')?;
    if !address.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let rest = rest.trim();
    let whole = rest
        .strip_suffix(" (deleted))")
        .unwrap_or(rest.strip_suffix(')').unwrap_or(rest));
    let (symbol, module) = match whole.rfind(" (") {
        Some(space) if whole.len() < rest.len() => (&whole[..space], &whole[space + 2..]),
        _ => (rest, ""),
    };
    let symbol = match symbol.rsplit_once("+0x") {
        Some((name, offset)) if offset.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => symbol,
    };
    if symbol != "[unknown]" {
        return Some(Cow::Borrowed(symbol));
    }
    let file = module.rsplit('/').next().unwrap_or_default();
    Some(Cow::Owned(match file {
        "" | "[unknown]" => format!("0x{address}"),
        _ => format!("0x{address} ({file})"),
    }))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
