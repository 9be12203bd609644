//! The frames of gRPC and gRPC-Web: a byte of flags, the length in 4 bytes (big-endian), and the message.

use crate::status::{Code, Status};
use bytes::{BufMut as _, Bytes, BytesMut};
use davy_profile::{Limits, gzip};

/// Flag of a compressed message.
const COMPRESSED: u8 = 0x01;
/// Flag of the trailers of gRPC-Web.
const TRAILERS: u8 = 0x80;
/// Messages below this size are not compressed.
const COMPRESS_ABOVE: usize = 1_024;

/// Unpacks a message, at most `limit` bytes of it.
pub(crate) fn gunzip(packed: &[u8], limit: usize) -> Result<Bytes, Status> {
    let limits = Limits {
        bytes: limit,
        ..Limits::default()
    };
    if packed.is_empty() {
        return Ok(Bytes::new());
    }
    if !gzip::is_gzip(packed) {
        return Err(Status::invalid(
            "the message is not gzip, although its headers say so",
        ));
    }
    match gzip::unpack(packed, &limits) {
        Ok(bytes) => Ok(bytes.into_owned().into()),
        Err(davy_profile::Error::TooLarge { .. } | davy_profile::Error::Bomb { .. }) => {
            Err(Status::new(
                Code::ResourceExhausted,
                format!("the message has more than {limit} bytes, the limit"),
            ))
        }
        Err(error) => Err(Status::invalid(format!(
            "cannot unpack the message: {error}"
        ))),
    }
}

/// The only message of a request body.
pub(crate) fn read(body: &Bytes, encoding: &str, limit: usize) -> Result<Bytes, Status> {
    let Some((head, rest)) = body.split_first_chunk::<5>() else {
        return Err(if body.is_empty() {
            Status::unimplemented("the request has no message; the method takes one")
        } else {
            Status::invalid(format!(
                "truncated frame: {} bytes of a header of 5 bytes",
                body.len()
            ))
        });
    };
    let [flags, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(Status::new(
            Code::ResourceExhausted,
            format!("the message has {length} bytes, the limit is {limit}"),
        ));
    }
    if length > rest.len() {
        return Err(Status::invalid(format!(
            "truncated frame: {} bytes of a message of {length} bytes",
            rest.len()
        )));
    }
    if length < rest.len() {
        return Err(Status::unimplemented(
            "the request has more than one message; the method takes one",
        ));
    }
    let message = body.slice(5..);
    match (flags, encoding) {
        (0, _) => Ok(message),
        (COMPRESSED, "gzip") => gunzip(&message, limit),
        (COMPRESSED, "" | "identity") => Err(Status::new(
            Code::Internal,
            "the message is compressed, but the header grpc-encoding is missing",
        )),
        (COMPRESSED, other) => Err(Status::unimplemented(format!(
            "unsupported grpc-encoding {other:?}; supported are gzip and identity"
        ))),
        (flags, _) => Err(Status::invalid(format!(
            "invalid flags {flags:#04x} of a frame"
        ))),
    }
}

fn frame(flags: u8, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(flags);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// The frame of a message, and whether it is compressed.
pub(crate) fn write(message: &[u8], accepts_gzip: bool) -> (Bytes, bool) {
    if accepts_gzip && message.len() >= COMPRESS_ABOVE {
        return (frame(COMPRESSED, &gzip::compress(message)), true);
    }
    (frame(0, message), false)
}

/// The trailers of gRPC-Web.
pub(crate) fn trailers(code: u8, message: &str) -> Bytes {
    let mut text = format!("grpc-status: {code}\r\n");
    if !message.is_empty() {
        text.push_str(&format!("grpc-message: {}\r\n", percent_encoded(message)));
    }
    frame(TRAILERS, text.as_bytes())
}

/// A message as gRPC's headers carry it: printable ASCII except `%`, the rest as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], encoding: &str, expected: Result<&[u8], Code>) {
        let read = read(&Bytes::copy_from_slice(body), encoding, 1_000);
        let read = read.map_err(|status| status.code);
        assert_eq!(read.as_deref().map_err(|code| *code), expected, "{body:?}");
    }

    #[test]
    fn requests_have_exactly_one_whole_message() {
        check(&[0, 0, 0, 0, 2, 7, 8], "", Ok(&[7, 8]));
        check(&[0, 0, 0, 0, 0], "", Ok(&[]));
        check(&[], "", Err(Code::Unimplemented));
        check(&[0, 0, 0], "", Err(Code::InvalidArgument));
        check(&[0, 0, 0, 0, 3, 7, 8], "", Err(Code::InvalidArgument));
        check(&[0, 0, 0, 0, 1, 7, 8], "", Err(Code::Unimplemented));
        check(&[0, 0xff, 0, 0, 0, 7], "", Err(Code::ResourceExhausted));
        check(&[0x80, 0, 0, 0, 1, 7], "", Err(Code::InvalidArgument));
        check(&[1, 0, 0, 0, 1, 7], "", Err(Code::Internal));
        check(&[1, 0, 0, 0, 1, 7], "snappy", Err(Code::Unimplemented));
        check(&[1, 0, 0, 0, 1, 7], "gzip", Err(Code::InvalidArgument));
    }

    #[test]
    fn compressed_messages_survive_and_bombs_do_not() {
        let message = vec![b'a'; 2_000];
        let (framed, is_compressed) = write(&message, true);
        assert!(is_compressed && framed.len() < 100);
        assert_eq!(read(&framed, "gzip", 2_000).expect("fits"), message);
        let bomb = read(&framed, "gzip", 1_999).expect_err("too large");
        assert_eq!(bomb.code, Code::ResourceExhausted, "{}", bomb.message);
        assert!(!write(&message, false).1);
    }

    #[test]
    fn messages_of_errors_are_printable() {
        assert_eq!(percent_encoded("100% \"ä\"\n"), "100%25 \"%C3%A4\"%0A");
    }
}
