//! Exact products of decimal numbers with whole numbers.

/// Why a text is not a usable count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is not a decimal number.
    NotANumber,
    /// It is below zero.
    Negative,
    /// The product exceeds 64 bits.
    Overflow,
}

/// Significant digits that are used. With a factor of at most 19 digits, products fit into 128 bits.
const DIGITS: u32 = 19;

/// The product of a decimal number (`12`, `12.5`, `1e3`) and a positive factor, rounded half up. The
/// number is not rounded before the multiplication.
pub(crate) fn product(text: &str, factor: i64) -> Result<i64, Problem> {
    match signed_product(text, factor)? {
        ..0 => Err(Problem::Negative),
        value => Ok(value),
    }
}

/// The product, which may be negative. Half units are rounded away from zero.
pub(crate) fn signed_product(text: &str, factor: i64) -> Result<i64, Problem> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, self::exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(Problem::NotANumber);
    }
    let (mut mantissa, mut used, mut dropped) = (0u128, 0, 0i64);
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(Problem::NotANumber);
        }
        if used == DIGITS {
            dropped += 1;
            continue;
        }
        mantissa = mantissa * 10 + u128::from(byte - b'0');
        used += u32::from(mantissa != 0);
    }
    if mantissa == 0 {
        return Ok(0);
    }
    let product = mantissa * u128::from(factor.max(0) as u64);
    let shift = exponent - fraction.len() as i64 + dropped;
    let shifted = if shift >= 0 {
        let power = u32::try_from(shift)
            .ok()
            .and_then(|s| 10u128.checked_pow(s));
        power.and_then(|power| product.checked_mul(power))
    } else {
        let power = u32::try_from(-shift)
            .ok()
            .and_then(|s| 10u128.checked_pow(s));
        Some(power.map_or(0, |power| {
            product / power + u128::from(product % power >= power.div_ceil(2))
        }))
    };
    let value = shifted
        .and_then(|value| i64::try_from(value).ok())
        .ok_or(Problem::Overflow)?;
    Ok(if negative { -value } else { value })
}

fn exponent(text: &str) -> Result<i64, Problem> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::NotANumber);
    }
    // An exponent of more digits decides the result alone, so its exact value is irrelevant.
    let value = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 32);
    Ok(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_rounded_once_and_never_saturate() {
        let check = |text: &str, factor: i64, expected: Result<i64, Problem>| {
            assert_eq!(product(text, factor), expected, "{text} x {factor}");
        };
        check("12.5", 10_000_000, Ok(125_000_000));
        check("0.156", 10_000_000, Ok(1_560_000));
        check("12.0", 1, Ok(12));
        check("12.5", 1, Ok(13));
        check("0.4999999999999999999999", 1, Ok(0));
        check("1e3", 1, Ok(1_000));
        check("1.5E-3", 10_000_000, Ok(15_000));
        check(".5", 10, Ok(5));
        check("5.", 10, Ok(50));
        check("000000000000000000000000007", 1, Ok(7));
        check("0.1", 3, Ok(0));
        check("9223372036854775807", 1, Ok(i64::MAX));
        check("9223372036854775807.00000000000000", 1, Ok(i64::MAX));
        check("9223372036854775808", 1, Err(Problem::Overflow));
        check("1000000000000", 10_000_000, Err(Problem::Overflow));
        check("99999999999999999999", 1, Err(Problem::Overflow));
        check("99999999999999999999", i64::MAX, Err(Problem::Overflow));
        check("1e99999999999999999999", 1, Err(Problem::Overflow));
        check("1e-99999999999999999999", 1, Ok(0));
        check("-1", 1, Err(Problem::Negative));
        check("-0.0", 1, Ok(0));
        assert_eq!(signed_product("-1.5", 1_000), Ok(-1_500));
        for text in [
            "", ".", "-", "x", "1x", "0x1f", "1e", "1e+", "1.2.3", "NaN", "inf", "1 2", "--1",
        ] {
            check(text, 1, Err(Problem::NotANumber));
        }
    }
}
