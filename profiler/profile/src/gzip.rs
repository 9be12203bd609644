//! Compression, and decompression within limits.

#[cfg(feature = "fast")]
mod one_shot;

use crate::{Error, Limits};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, ErrorKind, Read, Write as _};

/// Whether the bytes begin with the magic number of gzip.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Reads the bytes compressed, at the fastest level, without a copy of the result in memory.
pub fn compressing_reader(bytes: impl BufRead) -> impl Read {
    flate2::bufread::GzEncoder::new(bytes, Compression::fast())
}

/// Decompresses gzip data of one or more members. Returns other data unchanged.
///
/// Fails as soon as `limits.bytes` or `limits.ratio` is exceeded, so the memory used exceeds the
/// limit by one read at most.
pub fn unpack<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, Error> {
    if !is_gzip(bytes) {
        if bytes.len() > limits.bytes {
            return Err(Error::TooLarge {
                limit: limits.bytes,
            });
        }
        return Ok(Cow::Borrowed(bytes));
    }
    #[cfg(feature = "fast")]
    if let Some(unpacked) = one_shot::unpack(bytes, limits) {
        return Ok(Cow::Owned(unpacked));
    }
    let to_error = |error: std::io::Error| match (error.kind(), error.get_ref()) {
        (ErrorKind::UnexpectedEof, _) => Error::GzipTruncated,
        (_, Some(inner)) if inner.is::<Trailing>() => Error::GzipTrailing,
        _ => Error::Gzip(error.to_string()),
    };
    let decoder = Members(GzDecoder::new(bytes));
    read_within(decoder, bytes.len(), limits, to_error).map(Cow::Owned)
}

/// The content of all members of a gzip file.
struct Members<'a>(GzDecoder<&'a [u8]>);

#[derive(Debug)]
struct Trailing;

impl fmt::Display for Trailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes after the end")
    }
}

impl std::error::Error for Trailing {}

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            let rest: &[u8] = self.0.get_ref();
            // Some writers pad the file with zeros.
            if read > 0 || buffer.is_empty() || rest.iter().all(|byte| *byte == 0) {
                return Ok(read);
            }
            if !is_gzip(rest) {
                return Err(std::io::Error::other(Trailing));
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

/// Reads the output of any decompressor. `packed` is the compressed size in bytes; `to_error`
/// converts a decompression error. The limits apply as in [`unpack`].
pub fn read_within<E: From<Error>>(
    mut decoder: impl Read,
    packed: usize,
    limits: &Limits,
    to_error: impl FnOnce(std::io::Error) -> E,
) -> Result<Vec<u8>, E> {
    let mut out = Vec::with_capacity((packed * 4).clamp(4 << 10, 1 << 20).min(limits.bytes + 1));
    loop {
        // Doubles the buffer, up to the limit plus one byte: that byte shows that the limit is exceeded.
        let step = out
            .len()
            .clamp(64 << 10, 4 << 20)
            .min(limits.bytes + 1 - out.len());
        let read = match (&mut decoder).take(step as u64).read_to_end(&mut out) {
            Ok(read) => read,
            Err(error) => return Err(to_error(error)),
        };
        if out.len() > limits.bytes {
            let limit = limits.bytes;
            return Err(Error::TooLarge { limit }.into());
        }
        if limits.is_bomb(out.len(), packed) {
            let ratio = limits.ratio;
            return Err(Error::Bomb { ratio }.into());
        }
        if read < step {
            return Ok(out);
        }
    }
}

/// Decompresses a zlib stream of exactly `size` bytes, such as a compressed section of an ELF file.
pub fn unpack_zlib(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(size).ok()?;
    let decoder = flate2::bufread::ZlibDecoder::new(bytes);
    decoder.take(size as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() == size).then_some(out)
}

/// Compresses with a fast level.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(
        Vec::with_capacity(bytes.len() / 3 + 64),
        Compression::fast(),
    );
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.expect("writing to a Vec cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bytes: usize, ratio: usize) -> Limits {
        Limits {
            bytes,
            ratio,
            ..Limits::default()
        }
    }

    #[test]
    fn data_survives_a_round_trip() {
        let text = b"flame ".repeat(100_000);
        let packed = compress(&text);
        assert_eq!(
            unpack(&packed, &limits(1 << 20, 10_000)).as_deref(),
            Ok(&text[..])
        );
        let twice = [packed.clone(), packed].concat();
        assert_eq!(
            unpack(&twice, &limits(2 << 20, 10_000)).map(|b| b.len()),
            Ok(1_200_000)
        );
        assert_eq!(
            unpack(b"plain", &limits(100, 1)).as_deref(),
            Ok(&b"plain"[..])
        );
    }

    #[test]
    fn gzip_bomb_is_stopped_at_the_limit() {
        let packed = compress(&vec![0; 50 << 20]);
        let check = |limits: Limits, expected: Result<usize, Error>| {
            assert_eq!(unpack(&packed, &limits).map(|bytes| bytes.len()), expected);
        };
        check(limits(64 << 20, 50), Err(Error::Bomb { ratio: 50 }));
        check(
            limits(1 << 20, 100_000),
            Err(Error::TooLarge { limit: 1 << 20 }),
        );
        check(limits(50 << 20, 100_000), Ok(50 << 20));
        // The ratio of small data is not limited.
        let small = compress(&vec![0; Limits::BOMB_FLOOR]);
        let unpacked = unpack(&small, &limits(64 << 20, 50)).map(|bytes| bytes.len());
        assert_eq!(unpacked, Ok(Limits::BOMB_FLOOR));
    }

    #[test]
    fn zeros_after_the_end_are_padding_and_other_bytes_are_not() {
        let packed = compress(b"flame");
        let with = |rest: &[u8]| {
            let bytes = [packed.as_slice(), rest].concat();
            unpack(&bytes, &Limits::default()).map(Cow::into_owned)
        };
        assert_eq!(with(&[0; 600]), Ok(b"flame".to_vec()));
        assert_eq!(with(b"\n"), Err(Error::GzipTrailing));
        assert_eq!(with(&[0, 0, 1]), Err(Error::GzipTrailing));
    }

    #[test]
    fn corrupt_data_is_rejected() {
        let packed = compress(b"some bytes that are long enough to be cut somewhere");
        for cut in 2..packed.len() {
            assert!(
                unpack(&packed[..cut], &Limits::default()).is_err(),
                "cut at {cut}"
            );
        }
        let mut corrupt = packed;
        let middle = corrupt.len() / 2;
        corrupt[middle] ^= 0xff;
        assert!(unpack(&corrupt, &Limits::default()).is_err());
    }
}
