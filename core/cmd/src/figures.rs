//! Figures for people: three digits and a unit.

/// Bytes, such as `12.3 MiB`.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} B")
    } else {
        format!("{} {}", digits(value), UNITS[unit])
    }
}

/// A span of seconds, such as `340 ms`.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        value if value <= 0.0 => "0".to_owned(),
        value if value < 0.001 => format!("{} us", digits(value * 1e6)),
        value if value < 1.0 => format!("{} ms", digits(value * 1e3)),
        value => format!("{} s", digits(value)),
    }
}

fn digits(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let check = |said: String, expected: &str| assert_eq!(said, expected);
        check(bytes(0.0), "0 B");
        check(bytes(999.0), "999 B");
        check(bytes(1_024.0), "1.00 KiB");
        check(bytes(1_000.0 * 1_024.0), "0.98 MiB");
        check(bytes(123.4 * 1_048_576.0), "123 MiB");
        check(seconds(0.0), "0");
        check(seconds(0.000_25), "250 us");
        check(seconds(0.034), "34.0 ms");
        check(seconds(2.5), "2.50 s");
    }
}
