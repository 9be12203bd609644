//! Formats quantities for people: a number and a unit.
//!
//! - Time is shown in ns, us, ms, s, min (from 2 min), h (from 2 h) or d (from 100 h), and size in
//!   multiples of 1,024 bytes, with three significant digits: `1.25 s`, `12.3 MiB`. The unit of the
//!   value may be any multiple of a second or byte, in the spellings of pprof. As in pprof, `kb` and
//!   `kilobytes` are 1,024 bytes.
//! - Counts are exact below a million and have three significant digits from there: `12,345`, `1.23 M`.
//! - `count` is not a noun, so its numbers stand alone. Any other unit is a noun: `1 object`, `12 objects`.
//!
//! `ui/app/logic/format.ts` follows the same rules; `tests/units.tsv` tests both.

use std::time::Duration;

/// What a unit measures.
enum Measure<'a> {
    /// Time; nanoseconds per unit.
    Time(f64),
    /// Size; bytes per unit.
    Size(f64),
    /// A number without a noun.
    Number,
    /// A number of something.
    Noun(&'a str),
}

impl<'a> Measure<'a> {
    fn of(unit: &'a str) -> Self {
        let lower = unit.to_lowercase();
        // The s of ns is not a plural.
        let name = match lower.strip_suffix('s') {
            Some(singular) if singular.chars().count() > 1 => singular,
            _ => lower.as_str(),
        };
        let kibi = |power| Self::Size(1_024_f64.powi(power));
        match name {
            "ns" | "nsec" | "nanosecond" => Self::Time(1.0),
            // Micro sign and Greek letter.
            "us" | "\u{b5}s" | "\u{3bc}s" | "usec" | "microsecond" => Self::Time(1e3),
            "ms" | "msec" | "millisecond" => Self::Time(1e6),
            "s" | "sec" | "second" => Self::Time(SECOND),
            "min" | "minute" => Self::Time(60.0 * SECOND),
            "h" | "hr" | "hour" => Self::Time(HOUR),
            "d" | "day" => Self::Time(24.0 * HOUR),
            "b" | "byte" => kibi(0),
            "kb" | "kib" | "kbyte" | "kilobyte" | "kibibyte" => kibi(1),
            "mb" | "mib" | "mbyte" | "megabyte" | "mebibyte" => kibi(2),
            "gb" | "gib" | "gbyte" | "gigabyte" | "gibibyte" => kibi(3),
            "tb" | "tib" | "tbyte" | "terabyte" | "tebibyte" => kibi(4),
            "pb" | "pib" | "pbyte" | "petabyte" | "pebibyte" => kibi(5),
            "" | "count" => Self::Number,
            _ => Self::Noun(unit),
        }
    }
}

const SECOND: f64 = 1e9;
const HOUR: f64 = 3_600.0 * SECOND;

/// The smallest value shown in a unit, the size of the unit, and its symbol.
type Step = (f64, f64, &'static str);

/// Units of time, in nanoseconds.
const TIME: [Step; 7] = [
    (0.0, 1.0, "ns"),
    (1e3, 1e3, "us"),
    (1e6, 1e6, "ms"),
    (SECOND, SECOND, "s"),
    (120.0 * SECOND, 60.0 * SECOND, "min"),
    (2.0 * HOUR, HOUR, "h"),
    (100.0 * HOUR, 24.0 * HOUR, "d"),
];
/// The short scale of counts.
const SCALE: [Step; 5] = [
    (0.0, 1e6, "M"),
    (1e9, 1e9, "G"),
    (1e12, 1e12, "T"),
    (1e15, 1e15, "P"),
    (1e18, 1e18, "E"),
];

/// Formats a profile's value in the unit of its sample type: `1.25 s`, `12.3 MiB`, `17`, `1 object`.
pub fn format(value: i64, unit: &str) -> String {
    match Measure::of(unit) {
        Measure::Time(nanoseconds) => time(value as f64 * nanoseconds),
        Measure::Size(size) => bytes(value as f64 * size),
        Measure::Number => number(value),
        Measure::Noun(noun) => format!("{} {}", number(value), inflected(noun, value)),
    }
}

/// Formats a number of bytes in binary units: `999 B`, `1.00 KiB`, `12.3 MiB`.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    // From 1,000 of a unit, a value is shown in the next one: four digits would not fit.
    if value.abs() < 999.5 {
        return format!("{} B", rounded(value, 0));
    }
    let mut size = 1_024.0;
    let mut unit = 0;
    while value.abs() >= 999.5 * size && unit + 1 < UNITS.len() {
        size *= 1_024.0;
        unit += 1;
    }
    format!("{} {}", digits(value / size), UNITS[unit])
}

/// Formats a duration given in seconds: `340 ms`, `1.00 s`, `12.5 min`, `3.20 h`.
pub fn seconds(value: f64) -> String {
    time(value * SECOND)
}

/// Formats a configured time, in at most two units: `14 d`, `1 h 30 min`, `10 s`, `250 ms`. Smaller parts are left out.
pub fn duration(span: Duration) -> String {
    const UNITS: [(u64, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
        (1, "ms"),
    ];
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return seconds(span.as_secs_f64());
    }
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        if left >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", separated(&(left / size).to_string())));
        }
        left %= size;
    }
    parts.join(" ")
}

/// A count with its noun in the right number: `1 process`, `2,000 processes`.
pub fn count(count: usize, singular: &str, plural: &str) -> String {
    let noun = if count == 1 { singular } else { plural };
    format!("{} {noun}", separated(&count.to_string()))
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds == 0.0 {
        return "0 s".to_owned();
    }
    scaled(nanoseconds, &TIME)
}

/// Formats a count: exactly below a million, otherwise with three significant digits.
fn number(value: i64) -> String {
    if value.unsigned_abs() < 1_000_000 {
        separated(&value.to_string())
    } else {
        scaled(value as f64, &SCALE)
    }
}

/// Formats in the largest unit whose smallest value is reached after rounding to three digits.
fn scaled(value: f64, steps: &[Step]) -> String {
    let reached = |step: &&Step| value.abs() >= step.0 * 0.999_5;
    let (_, size, symbol) = steps.iter().rfind(reached).unwrap_or(&steps[0]);
    format!("{} {symbol}", digits(value / size))
}

/// Formats with three significant digits, or all digits of the integer part if it has more.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => rounded(value, 2),
        size if size < 99.95 => rounded(value, 1),
        size if size < 999_999.5 => rounded(value, 0),
        _ => format!("{value:.2e}"),
    }
}

/// Rounds half away from zero, which the formatting of floats does not.
fn rounded(value: f64, decimals: u8) -> String {
    let power = 10_f64.powi(decimals.into());
    let size = (value.abs() * power + 0.5).floor() / power;
    let sign = if value < 0.0 && size > 0.0 { "-" } else { "" };
    let precision = usize::from(decimals);
    let text = format!("{size:.precision$}");
    format!("{sign}{}", separated(&text))
}

/// Adds thousands separators to the integer part of a decimal number.
fn separated(number: &str) -> String {
    let sign = usize::from(number.starts_with('-'));
    let integer = number.find('.').unwrap_or(number.len());
    let mut out = String::with_capacity(number.len() + number.len() / 3);
    for (index, digit) in number.char_indices() {
        if index > sign && index < integer && (integer - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A unit as a noun in the number of the value. Symbols such as `MHz` and `ops/s` are not inflected.
fn inflected(unit: &str, value: i64) -> String {
    let is_word = unit.bytes().all(|byte| byte.is_ascii_lowercase())
        && unit.contains(['a', 'e', 'i', 'o', 'u'])
        && !["hertz", "percent", "series"].contains(&unit);
    if !is_word {
        return unit.to_owned();
    }
    let singular = singular(unit);
    if value.unsigned_abs() == 1 {
        singular
    } else {
        plural(&singular)
    }
}

fn singular(noun: &str) -> String {
    if let Some(stem) = noun.strip_suffix("ies")
        && stem.len() > 1
    {
        return format!("{stem}y");
    }
    let endings = ["sses", "shes", "tches", "nches", "xes"];
    if endings.iter().any(|ending| noun.ends_with(ending)) {
        return noun[..noun.len() - 2].to_owned();
    }
    let is_singular = ["ss", "us", "is"].iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('s') {
        Some(stem) if !is_singular => stem.to_owned(),
        _ => noun.to_owned(),
    }
}

fn plural(singular: &str) -> String {
    if let Some(stem) = singular.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    let endings = ["s", "x", "z", "ch", "sh"];
    let hisses = endings.iter().any(|ending| singular.ends_with(ending));
    format!("{singular}{}", if hisses { "es" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_unit_are_scaled_and_named() {
        let mut rows = 0;
        for line in include_str!("../tests/units.tsv").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut columns = line.split('\t');
            let mut column = || columns.next().expect("three columns");
            let (value, unit, expected) = (column(), column(), column());
            let value = value.parse().expect("a 64-bit integer");
            assert_eq!(format(value, unit), expected, "{value} {unit}");
            rows += 1;
        }
        assert!(rows > 100, "{rows} rows");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let check = |milliseconds: u64, expected: &str| {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        };
        check(14 * 86_400_000, "14 d");
        check(1_000 * 86_400_000, "1,000 d");
        check(90 * 60_000, "1 h 30 min");
        check(86_400_000 + 3_600_000 + 60_000, "1 d 1 h");
        check(86_400_000 + 60_000, "1 d 1 min");
        check(10_000, "10 s");
        check(250, "250 ms");
        check(1_500, "1 s 500 ms");
        check(0, "0 s");
        assert_eq!(duration(Duration::from_micros(5)), "5.00 us");
    }

    #[test]
    fn quantities_have_three_significant_digits_and_a_unit() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(bytes(123.4 * 1_048_576.0), "123 MiB");
        check(bytes(-0.4), "0 B");
        check(seconds(0.000_000_25), "250 ns");
        check(seconds(0.000_25), "250 us");
        check(seconds(0.034), "34.0 ms");
        check(seconds(0.999_9), "1.00 s");
        check(seconds(2.5), "2.50 s");
        check(seconds(119.0), "119 s");
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        let processes = |number| count(number, "process", "processes");
        assert_eq!(
            [processes(0), processes(1), processes(2_000)],
            ["0 processes", "1 process", "2,000 processes"]
        );
    }
}
