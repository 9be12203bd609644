//! How windows are packed: from a profile to the body of its push.

use super::wire;
use crate::assemble::Kind;
use davy_profile::{Profile, gzip, pprof};

/// How windows are packed on their way to an archiver, and while they wait for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Each profile is gzip, as pprof is everywhere: whoever takes pushes takes this.
    #[default]
    Gzip,
    /// The body of the request is zstd: smaller, for less work. An archiver that does not take it
    /// gets the same windows unpacked.
    #[cfg(feature = "zstd")]
    Zstd,
    /// Nothing is packed.
    None,
}

/// What every frame of zstd begins with (RFC 8878); a `PushRequest` never does.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether this body is zstd, which its request must say.
pub(super) fn is_zstd(body: &[u8]) -> bool {
    body.starts_with(&ZSTD_MAGIC)
}

/// The body of a push of one window.
pub(super) fn pack(
    profile: &Profile,
    kind: Kind,
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
        // Frames one after the other are the frames of all, so that windows still make one body.
        return zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL).unwrap_or(body);
    }
    body
}

/// The body of a request whose receiver does not take zstd; none where this can't be unpacked.
pub(super) fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    #[cfg(feature = "zstd")]
    return zstd::stream::decode_all(body).ok();
    #[cfg(not(feature = "zstd"))]
    {
        let _ = body;
        None
    }
}
