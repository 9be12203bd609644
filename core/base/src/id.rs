//! Identifiers that sort by time.

use crate::{Clock, Random, Timestamp};
use std::fmt;
use std::str::FromStr;

/// 48 bits of milliseconds and 80 random bits, written as 26 letters of Crockford's base 32.
///
/// Format: <https://github.com/ulid/spec>.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(pub u128);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Ulid {
    /// A new id of this moment.
    pub fn new(clock: &Clock, random: &mut Random) -> Self {
        let millis = clock.now().millis().clamp(0, (1 << 48) - 1) as u128;
        let noise = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        Self((millis << 80) | (noise & ((1 << 80) - 1)))
    }

    /// The millisecond at which it was made.
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        for (i, letter) in text.iter_mut().enumerate() {
            *letter = ALPHABET[((self.0 >> (125 - 5 * i)) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a ulid: not 26 letters of Crockford's base 32, or beyond 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUlid;

impl fmt::Display for NotAUlid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a ulid (26 letters of 0-9 and A-Z without I, L, O, U)")
    }
}

impl std::error::Error for NotAUlid {}

impl FromStr for Ulid {
    type Err = NotAUlid;

    fn from_str(text: &str) -> Result<Self, NotAUlid> {
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(NotAUlid);
        }
        text.bytes()
            .try_fold(0u128, |value, letter| {
                let digit = ALPHABET
                    .iter()
                    .position(|a| *a == letter.to_ascii_uppercase());
                digit
                    .map(|digit| value << 5 | digit as u128)
                    .ok_or(NotAUlid)
            })
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn text_survives_a_round_trip_and_sorts_by_time() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_123));
        let mut random = Random::seeded(3);
        let first = Ulid::new(&clock, &mut random);
        clock.advance(Duration::from_millis(1));
        let second = Ulid::new(&clock, &mut random);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!(first.to_string() < second.to_string());
        assert_eq!(first.time(), Timestamp::from_millis(1_700_000_000_123));
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "x",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "0000000000000000000000000U",
            "ääääääääääääa",
        ] {
            assert_eq!(text.parse::<Ulid>(), Err(NotAUlid), "{text}");
        }
    }
}
