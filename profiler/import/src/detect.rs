//! Recognizes formats by their content.

use crate::json::Reader;
use crate::{Error, Format, folded, nodes, perf_script, text};
use davy_profile::{Limits, pprof, wire};

/// Bytes of a text that are examined, apart from the end of the last line.
const HEAD: usize = 64 << 10;

/// Lines of a text that are examined.
const HEAD_LINES: usize = 1_000;

/// Files that are often sent by mistake, by their first bytes.
const OTHER: [(&[u8], &str, &str); 11] = [
    (
        b"PK\x03\x04",
        "a zip archive",
        "send the profile that it contains",
    ),
    (
        b"\x1f\x8b",
        "gzip data",
        "decompress it, or send it with Content-Encoding: gzip",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd data",
        "decompress it, or send it with Content-Encoding: zstd",
    ),
    (b"BZh", "bzip2 data", "decompress it"),
    (b"\xfd7zXZ", "xz data", "decompress it"),
    (
        b"PERFILE2",
        "a perf.data file",
        "send the output of perf script",
    ),
    (
        b"MOJ",
        "Austin's binary format",
        "convert it with mojo2austin",
    ),
    (b"JAVA PROFILE ", "a Java heap dump", "send a JFR recording"),
    (b"\x7fELF", "an ELF binary", "send a profile of it"),
    (
        b"\x89PNG",
        "a PNG image",
        "send the profile that it was drawn from",
    ),
    (
        b"%PDF",
        "a PDF document",
        "send the profile that it was drawn from",
    ),
];

/// Returns the format of the bytes, by their content.
///
/// Never returns [`Format::Lines`]. The error says what the bytes are instead of a profile, or which
/// line or byte of the format that they resemble is invalid.
pub fn detect(bytes: &[u8]) -> Result<Format, Error> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Empty);
    }
    if bytes.starts_with(b"FLR\0") {
        return Ok(Format::Jfr);
    }
    let other = OTHER.iter().find(|(magic, ..)| bytes.starts_with(magic));
    if let Some((_, what, hint)) = other.filter(|_| !begins_with_stack(bytes)) {
        return Err(Error::NotAProfile { what, hint });
    }
    // A Go execution trace: "go 1.22 trace\0\0\0".
    if bytes.starts_with(b"go 1.") && bytes.iter().take(16).any(|b| *b == 0) {
        let (what, hint) = (
            "a Go execution trace",
            "send a profile, such as /debug/pprof/profile",
        );
        return Err(Error::NotAProfile { what, hint });
    }
    if !text::is_utf16(bytes) {
        if is_pprof(bytes) {
            return Ok(Format::Pprof);
        }
        if let Some(format) = nodes::detect(bytes) {
            return Ok(format);
        }
    }
    // The examined part ends with a whole line.
    let end = match bytes.get(HEAD..) {
        Some(rest) => HEAD + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        None => bytes.len(),
    };
    let text = text::decode(&bytes[..end]);
    let start = text.trim_start();
    if let Some(error) = html(start) {
        return Err(error);
    }
    if is_json(start) {
        return json(text::decode(bytes).as_bytes());
    }
    if perf_script::is_sample(start) {
        return Ok(Format::PerfScript);
    }
    folded(bytes, &text)
}

/// Whether the first line is a folded stack: a name may begin as another file does, such as `BZhandler`.
fn begins_with_stack(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next();
    line.and_then(|line| std::str::from_utf8(line).ok())
        .is_some_and(folded::is_stack)
}

/// Whether the bytes are a message with the fields that every pprof profile has.
fn is_pprof(bytes: &[u8]) -> bool {
    let mut reader = wire::Reader::new(bytes);
    let (mut has_types, mut has_strings) = (false, false);
    loop {
        match reader.field() {
            Ok(Some((1, wire::Value::Bytes(message)))) => {
                let mut fields = wire::Reader::new(message);
                while let Ok(Some(_)) = fields.field() {}
                has_types |= fields.is_at_end();
            }
            Ok(Some((6, wire::Value::Bytes(_)))) => has_strings = true,
            Ok(Some((1 | 2 | 6, wire::Value::Varint(_) | wire::Value::Fixed(_)))) | Err(_) => {
                return false;
            }
            Ok(Some(_)) => {}
            Ok(None) => return has_types && has_strings,
        }
    }
}

/// The error for an HTML or XML page.
fn html(start: &str) -> Option<Error> {
    let head: String = start.chars().take(4_096).collect();
    let lower = head.to_ascii_lowercase();
    let is_page = ["<!doctype", "<html", "<head", "<body", "<?xml", "<svg"]
        .iter()
        .any(|tag| lower.starts_with(tag));
    if !is_page {
        return None;
    }
    let title = lower.find("<title>").and_then(|start| {
        let title = &head[start + "<title>".len()..];
        let end = title.to_ascii_lowercase().find("</title>")?;
        let words: Vec<_> = title[..end].split_whitespace().collect();
        Some(words.join(" ").chars().take(100).collect())
    });
    Some(Error::Html { title })
}

/// Whether a text is JSON. A folded stack may begin with a bracket too: `{closure};f 3`, `[kernel];f 3`.
fn is_json(start: &str) -> bool {
    let mut chars = start.chars().filter(|c| !c.is_ascii_whitespace());
    match chars.next() {
        Some('{') => matches!(chars.next(), Some('"' | '}')),
        Some('[') => matches!(chars.next(), Some('{' | ']')),
        _ => false,
    }
}

/// The format of a JSON text, by the keys of its object.
fn json(bytes: &[u8]) -> Result<Format, Error> {
    const TRACE: Error = Error::NotAProfile {
        what: "a Chrome trace",
        hint: "save a .cpuprofile instead",
    };
    let mut reader = Reader::new(bytes, Format::Speedscope);
    if reader.peek() == b'[' {
        return Err(TRACE);
    }
    let mut keys: Vec<String> = Vec::new();
    reader.begin_object()?;
    // No supported format has more keys.
    while keys.len() < 100 {
        // The keys before a syntax error are enough for the format; decoding reports the error.
        let Ok(Some(key)) = reader.next_key() else {
            break;
        };
        let has_schema = key == "$schema"
            && reader.peek() == b'"'
            && reader.clone().string()?.contains("speedscope");
        keys.push(key.chars().take(40).collect());
        if has_schema || reader.skip().is_err() {
            if has_schema {
                return Ok(Format::Speedscope);
            }
            break;
        }
    }
    let has = |key: &str| keys.iter().any(|k| k == key);
    if has("shared") || has("profiles") {
        return Ok(Format::Speedscope);
    }
    if has("nodes") && (has("samples") || has("startTime") || has("timeDeltas")) {
        return Ok(Format::CpuProfile);
    }
    if has("head") {
        return Ok(Format::HeapProfile);
    }
    if has("traceEvents") {
        return Err(TRACE);
    }
    keys.truncate(8);
    let keys = if keys.is_empty() {
        "(none)".to_owned()
    } else {
        keys.join(", ")
    };
    Err(Error::UnknownJson { keys })
}

/// Folded stacks, if a line of the text is one; for bytes that are not text, half of the lines.
fn folded(bytes: &[u8], text: &str) -> Result<Format, Error> {
    let mut first = None;
    let (mut valid, mut invalid) = (0, 0);
    for (line, content) in text::lines(text).take(HEAD_LINES) {
        if content.is_empty() || text::comment(content).is_some() {
            continue;
        }
        if folded::is_stack(content) {
            valid += 1;
        } else {
            invalid += 1;
            first = first.or(folded::problem(content).map(|problem| (line, problem)));
        }
    }
    let is_binary = is_binary(text);
    if valid > 0 && (!is_binary || valid >= invalid) {
        return Ok(Format::Folded);
    }
    if is_binary {
        // The first byte of a pprof profile is the key of its first field.
        let may_be_pprof = matches!(bytes[0], 0x0a | 0x12 | 0x1a | 0x22 | 0x2a | 0x32);
        return match pprof::decode(bytes, &Limits::default()) {
            Err(error) if may_be_pprof => Err(error.into()),
            _ => {
                let head: Vec<_> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
                Err(Error::UnknownBinary {
                    head: head.join(" "),
                })
            }
        };
    }
    let (line, problem) = match first.unwrap_or((1, "no stacks")) {
        (line, folded::NO_COUNT) => (
            line,
            "no count after the stack; if each line is one sample, state the format lines",
        ),
        other => other,
    };
    Err(Error::Line {
        format: Format::Folded,
        line,
        problem,
    })
}

/// Whether the bytes of a text are binary data: they are not valid UTF-8, or contain many control
/// characters. Names contain a few.
fn is_binary(text: &str) -> bool {
    let controls = text
        .chars()
        .filter(|c| c.is_control() && !"\t\r\n".contains(*c));
    text.contains(char::REPLACEMENT_CHARACTER) || controls.count() * 32 > text.len()
}

#[cfg(test)]
mod tests;
