//! Encodes a profile as the body of a push.

use super::wire;
use crate::sample_kind::SampleKind;
use davy_profile::{Profile, gzip, pprof};

/// How windows are compressed, both on the wire and while they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Each profile is compressed by gzip, as is usual for pprof. Every receiver of pushes accepts this.
    #[default]
    Gzip,
    /// The body of the request is compressed by zstd, which is smaller and takes less CPU time. An archiver
    /// that does not accept it gets the same windows uncompressed.
    #[cfg(feature = "zstd")]
    Zstd,
    /// No compression.
    None,
}

/// The first bytes of every zstd frame (RFC 8878). A `PushRequest` never starts with them.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether a body is compressed by zstd.
pub(super) fn is_zstd(body: &[u8]) -> bool {
    body.starts_with(&ZSTD_MAGIC)
}

/// The body of a push with one window.
pub(super) fn pack(
    profile: &Profile,
    kind: SampleKind,
    labels: &[(String, String)],
    id: &str,
    compression: Compression,
) -> Vec<u8> {
    let mut bytes = pprof::encode(profile);
    if compression == Compression::Gzip {
        bytes = gzip::compress(&bytes);
    }
    let name = ("__name__".to_owned(), kind.name().to_owned());
    let labels: Vec<_> = std::iter::once(name)
        .chain(labels.iter().cloned())
        .collect();
    let body = wire::request(&labels, &bytes, id);
    #[cfg(feature = "zstd")]
    if compression == Compression::Zstd {
        // Concatenated frames decompress to the concatenated bodies, so windows can still be batched.
        return zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL).unwrap_or(body);
    }
    body
}

/// Decompresses a body for a receiver that does not accept zstd; none if that is not possible.
pub(super) fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    #[cfg(feature = "zstd")]
    return zstd::stream::decode_all(body).ok();
    #[cfg(not(feature = "zstd"))]
    {
        let _ = body;
        None
    }
}
