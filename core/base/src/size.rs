//! Byte sizes and durations as people write them.

use std::time::Duration;

/// Reads `250ms`, `5s`, `90m`, `1h`, `14d`, `2w`, and sums such as `1h30m`. A bare number is
/// refused: its unit would be a guess.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let nanos: u64 = match &rest[..letters] {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            "d" => 86_400 * 1_000_000_000,
            "w" => 604_800 * 1_000_000_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_nanos(number.checked_mul(nanos)?))?;
        rest = &rest[letters..];
    }
    Some(total)
}

/// Writes a duration so that [`parse_duration`] reads it back.
pub fn format_duration(span: Duration) -> String {
    let units = [
        (86_400 * 1_000_000_000, "d"),
        (3_600 * 1_000_000_000, "h"),
        (60 * 1_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1u128, "ns"),
    ];
    let mut rest = span.as_nanos();
    let mut text = String::new();
    for (nanos, unit) in units {
        if rest >= nanos {
            text += &format!("{}{unit}", rest / nanos);
            rest %= nanos;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Reads `1500`, `64KiB`, `8MiB`, `2GiB`, and the decimal `kB`, `MB`, `GB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Writes a size in the largest binary unit that keeps three digits, such as `1.5 MiB`.
pub fn format_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_a_round_trip() {
        for text in ["250ms", "5s", "1h30m", "14d", "1d2h3m4s5ms6us7ns", "0s"] {
            assert_eq!(
                parse_duration(text).map(format_duration).as_deref(),
                Some(text)
            );
        }
        for text in [
            "",
            "5",
            "s",
            "5x",
            "1h-",
            "99999999999999999999s",
            "18446744073709551615d",
            "5ä",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_binary_and_decimal() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(parse_bytes(text), expected, "{text}");
        check("1500", Some(1_500));
        check("64KiB", Some(65_536));
        check("8 MiB", Some(8 << 20));
        check("2GB", Some(2_000_000_000));
        check("eight", None);
        check("8QiB", None);
        assert_eq!(format_bytes(1_572_864), "1.5 MiB");
        assert_eq!(format_bytes(17), "17 B");
    }
}
