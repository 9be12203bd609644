//! Decodes a profile of undeclared format.

use crate::{Error, Limits, Profile, folded, pprof};

/// A format that [`decode_any`] recognizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`pprof`].
    Pprof,
    /// [`folded`] stacks.
    Folded,
}

/// Decodes an uncompressed profile, and returns its format. The error is that of the format which
/// the bytes look like, or [`Error::Unrecognized`].
pub fn decode_any(bytes: &[u8], limits: &Limits) -> Result<(Format, Profile), Error> {
    let pprof_error = match pprof::decode(bytes, limits) {
        Ok(profile) => return Ok((Format::Pprof, profile)),
        Err(error) => error,
    };
    match folded::decode(bytes, limits) {
        Ok(profile) => Ok((Format::Folded, profile)),
        Err(_) if is_binary(bytes) => Err(pprof_error),
        Err(Error::Folded { line: 1, problem }) => Err(Error::Unrecognized { problem }),
        Err(error) => Err(error),
    }
}

/// Whether bytes are not text: they begin with control characters other than white space.
pub fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    head.iter()
        .any(|byte| byte.is_ascii_control() && !b"\t\n\r".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_format_that_the_bytes_look_like() {
        let check = |bytes: &[u8], expected: &str| {
            let result = decode_any(bytes, &Limits::default());
            let text = result.map_or_else(|error| error.to_string(), |(f, _)| format!("{f:?}"));
            assert_eq!(text, expected);
        };
        check(b"main;work 42\n", "Folded");
        check(
            b"not a profile at all\n",
            "unknown profile format; expected pprof, or folded stacks such as \"main;work 42\" \
             (line 1: the count is not a whole number)",
        );
        check(
            b"main;work 42\nmain;idle\n",
            "invalid folded stacks: line 2: no count after the stack; \
             expected lines such as \"main;work 42\"",
        );
        check(
            &[0x0a, 0x7f, 0x01],
            "invalid pprof profile: length beyond the end of the message at byte 2",
        );
    }
}
