//! The parameters of a request for a profile.

use crate::aggregate::Filter;

const NAMES: &str = "seconds, base, hz, debug, member, op";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProfileQuery {
    pub(super) seconds: Option<u64>,
    pub(super) base: Option<u64>,
    pub(super) hz: Option<u32>,
    pub(super) debug: Option<u8>,
    pub(super) member: Option<String>,
    pub(super) op: Option<String>,
}

impl ProfileQuery {
    pub(super) fn filter(&self) -> Filter {
        let nonempty = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        Filter {
            member: nonempty(&self.member),
            op: nonempty(&self.op),
        }
    }
}

/// Parses the part of a URL after `?`. Refuses unknown parameters, which would be ignored otherwise.
pub(super) fn parse(query: &str) -> Result<ProfileQuery, String> {
    let mut parsed = ProfileQuery::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        match name.as_str() {
            "seconds" => parsed.seconds = Some(number(&name, &value)?),
            "base" => parsed.base = Some(number(&name, &value)?),
            "hz" => parsed.hz = Some(number(&name, &value)?),
            "debug" => parsed.debug = Some(number(&name, &value)?),
            "member" => parsed.member = Some(value),
            "op" => parsed.op = Some(value),
            _ => {
                return Err(format!(
                    "unknown parameter `{name}`; expected one of {NAMES}"
                ));
            }
        }
    }
    Ok(parsed)
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    value
        .parse()
        .map_err(|_| format!("invalid {name} {value:?}: expected a whole number"))
}

/// Decodes `%20` and `+`. What is not an escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(digits, 16).ok())?
        });
        let (byte, length) = match (first, escape) {
            (b'%', Some(byte)) => (byte, 3),
            (b'+', _) => (b' ', 1),
            (other, _) => (*other, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = parse("seconds=5&&member=a%20b+c%2F&op=%C3%A9%zz%2").expect("valid");
        let expected = ProfileQuery {
            seconds: Some(5),
            member: Some("a b c/".to_owned()),
            op: Some("\u{e9}%zz%2".to_owned()),
            ..ProfileQuery::default()
        };
        assert_eq!(query, expected);
        assert_eq!(parse(""), Ok(ProfileQuery::default()));
    }

    #[test]
    fn unknown_parameters_and_invalid_numbers_are_refused() {
        let check = |query: &str, expected: &str| {
            assert_eq!(parse(query).expect_err("refused"), expected);
        };
        check(
            "second=5",
            "unknown parameter `second`; expected one of seconds, base, hz, debug, member, op",
        );
        check("hz=many", "invalid hz \"many\": expected a whole number");
        check("seconds", "invalid seconds \"\": expected a whole number");
        check(
            "debug=256",
            "invalid debug \"256\": expected a whole number",
        );
    }
}
