#![doc = include_str!("../README.md")]

use std::borrow::Cow;
use std::fmt::Write as _;

mod media;

#[derive(rust_embed::Embed)]
#[folder = "dist/"]
#[allow_missing = true]
struct Dist;

/// The page of a build without the app.
const MISSING: &[u8] = include_bytes!("missing.html");

/// A file of the app with its response headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The content.
    pub bytes: Cow<'static, [u8]>,
    /// The content compressed with gzip, if that makes it smaller.
    pub gzip: Option<Cow<'static, [u8]>>,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, including quotes; none if the content was changed. It is weak, since it applies to both
    /// encodings.
    pub etag: Option<String>,
    /// Whether the name changes with the content, so that browsers may cache the file forever.
    pub immutable: bool,
}

/// Returns the file at `path`, with or without a leading slash; `None` for other paths.
///
/// Only embedded files are found: no path is looked up on disk.
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if is_compressed_copy(path) {
        return None;
    }
    let file = Dist::get(path)?;
    Some(Asset {
        gzip: Dist::get(&format!("{path}.gz")).map(|copy| copy.data),
        content_type: media::content_type(path),
        etag: Some(etag(&file.metadata.sha256_hash())),
        immutable: path.starts_with("assets/"),
        bytes: file.data,
    })
}

/// Returns the app's page, for `/` and for every path that the app routes itself.
///
/// In a build without the app it is a page that explains how to build the app.
pub fn index() -> Asset {
    asset("index.html").unwrap_or_else(|| Asset {
        bytes: Cow::Borrowed(MISSING),
        gzip: None,
        content_type: media::content_type("index.html"),
        etag: Some("W/\"not-built\"".to_owned()),
        immutable: false,
    })
}

/// Returns the document of one page, which loads the page's parts at once: `incident`, `explore`, `compare`, `members`,
/// `fleet`, `archive` or `embed`. Documents have the comment `<!--data-->` where a link to the page's first request can stand.
pub fn document(name: &str) -> Asset {
    asset(&format!("{name}.html")).unwrap_or_else(index)
}

/// Whether the app is embedded in this executable.
pub fn built() -> bool {
    Dist::get("index.html").is_some()
}

/// Whether the path is a compressed copy, which is served as the `gzip` of its file.
fn is_compressed_copy(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "gz")
}

fn etag(sha256: &[u8; 32]) -> String {
    let mut tag = String::from("W/\"");
    for byte in &sha256[..16] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests;
