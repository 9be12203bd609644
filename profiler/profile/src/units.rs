//! Formats quantities for people: at most three significant digits and a unit.

/// Formats a profile's value in the unit of its sample type: `1.25 s`, `12.3 MiB`, `17`. Units
/// other than nanoseconds and bytes are printed as whole numbers.
pub fn format(value: i64, unit: &str) -> String {
    match unit {
        "nanoseconds" => seconds(value as f64 / 1e9),
        "bytes" => bytes(value as f64),
        _ => value.to_string(),
    }
}

/// Formats a number of bytes in binary units: `999 B`, `1.00 KiB`, `12.3 MiB`.
pub fn bytes(value: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = value;
    let mut unit = 0;
    // 999.5 and above would round to four digits.
    while scaled.abs() >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1_024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{scaled:.0} B")
    } else {
        format!("{} {}", digits(scaled), UNITS[unit])
    }
}

/// Formats a duration given in seconds: `340 ms`, `1.00 s`, `12.5 min`, `3.20 h`.
pub fn seconds(value: f64) -> String {
    // Each bound is the value that would round up to 1,000 of its unit.
    let (scaled, unit) = match value.abs() {
        0.0 => return "0 s".to_owned(),
        size if size < 999.5e-9 => (value * 1e9, "ns"),
        size if size < 999.5e-6 => (value * 1e6, "us"),
        size if size < 999.5e-3 => (value * 1e3, "ms"),
        size if size < 120.0 => (value, "s"),
        size if size < 7_200.0 => (value / 60.0, "min"),
        _ => (value / 3_600.0, "h"),
    };
    format!("{} {unit}", digits(scaled))
}

/// A count with its noun in the right number: `1 process`, `2 processes`.
pub fn count(number: usize, singular: &str, plural: &str) -> String {
    let noun = if number == 1 { singular } else { plural };
    format!("{number} {noun}")
}

/// Formats with three significant digits, or all digits of the integer part if it has more.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_three_significant_digits_and_a_unit() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(bytes(0.0), "0 B");
        check(bytes(999.0), "999 B");
        check(bytes(1_000.0), "0.98 KiB");
        check(bytes(1_024.0), "1.00 KiB");
        check(bytes(123.4 * 1_048_576.0), "123 MiB");
        check(bytes(-1_536.0), "-1.50 KiB");
        check(seconds(0.0), "0 s");
        check(seconds(0.000_000_25), "250 ns");
        check(seconds(0.000_25), "250 us");
        check(seconds(0.034), "34.0 ms");
        check(seconds(0.999_9), "1.00 s");
        check(seconds(2.5), "2.50 s");
        check(seconds(119.0), "119 s");
        check(seconds(150.0), "2.50 min");
        check(seconds(7_200.0), "2.00 h");
        check(format(900_000_000, "nanoseconds"), "900 ms");
        check(format(4_096, "bytes"), "4.00 KiB");
        check(format(1_234, "count"), "1234");
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        let processes = |number| count(number, "process", "processes");
        assert_eq!(
            [processes(0), processes(1), processes(2)],
            ["0 processes", "1 process", "2 processes"]
        );
    }
}
