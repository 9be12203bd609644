//! What a worker signs: Ed25519 over a text that names the worker, the request, and a nonce of the server.
//!
//! The nonce is the challenge of the registration. No clock is involved, so a worker whose clock is wrong can work.

/// The header with the number of the registration.
pub const REGISTRATION_HEADER: &str = "davy-worker-registration";
/// The header with the signature, in hexadecimal.
pub const SIGNATURE_HEADER: &str = "davy-worker-signature";

/// What a registration signs. `body_sha256` is the digest of the body in hexadecimal.
pub fn registration_message(worker: &str, challenge: &str, body_sha256: &str) -> String {
    format!("davy worker registration\n{worker}\n{challenge}\n{body_sha256}")
}

/// What every later request signs. `path` is the path of the URL with its query.
pub fn request_message(
    worker: &str,
    registration: i64,
    nonce: &str,
    method: &str,
    path: &str,
    body_sha256: &str,
) -> String {
    format!(
        "davy worker request\n{worker}\n{registration}\n{nonce}\n{method}\n{path}\n{body_sha256}"
    )
}

/// Bytes in hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

/// The bytes of a hexadecimal text.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_is_decoded_to_the_same_bytes() {
        let bytes = [0, 1, 0x7f, 0x80, 0xff];
        assert_eq!(from_hex(&to_hex(&bytes)).as_deref(), Some(&bytes[..]));
        for text in ["0", "0g", "ä0"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn different_requests_sign_different_texts() {
        let base = request_message("w", 1, "n", "POST", "/a", "d");
        assert_ne!(base, request_message("v", 1, "n", "POST", "/a", "d"));
        assert_ne!(base, request_message("w", 2, "n", "POST", "/a", "d"));
        assert_ne!(base, request_message("w", 1, "n", "PUT", "/a", "d"));
        assert_ne!(base, request_message("w", 1, "n", "POST", "/a?b", "d"));
        assert_ne!(base, registration_message("w", "n", "d"));
    }
}
