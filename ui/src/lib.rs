#![doc = include_str!("../README.md")]

use std::borrow::Cow;
use std::fmt::Write as _;

mod media;

#[derive(rust_embed::Embed)]
#[folder = "dist/"]
#[allow_missing = true]
struct Dist;

/// What a build without the app serves in its place.
const MISSING: &[u8] = include_bytes!("missing.html");

/// A file of the app, as it goes to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The file itself.
    pub bytes: Cow<'static, [u8]>,
    /// The same compressed by gzip, where that makes it smaller: for clients that accept it.
    pub gzip: Option<Cow<'static, [u8]>>,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, quotes included. It is a weak one, so it holds for both encodings.
    pub etag: String,
    /// Whether the name changes with the content, so that a browser may keep the file for ever.
    pub immutable: bool,
}

/// The file at `path`, with or without a leading slash; none for a path that isn't one of the app's.
///
/// Only names that were embedded are found: no path reaches the disk.
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if is_twin(path) {
        return None;
    }
    let file = Dist::get(path)?;
    Some(Asset {
        gzip: Dist::get(&format!("{path}.gz")).map(|twin| twin.data),
        content_type: media::content_type(path),
        etag: etag(&file.metadata.sha256_hash()),
        immutable: path.starts_with("assets/"),
        bytes: file.data,
    })
}

/// The app's page, for `/` and for every path that the app tells apart by itself.
///
/// Where the app was not built, it is a page that says how to build it.
pub fn index() -> Asset {
    asset("index.html").unwrap_or_else(|| Asset {
        bytes: Cow::Borrowed(MISSING),
        gzip: None,
        content_type: media::content_type("index.html"),
        etag: "W/\"not-built\"".to_owned(),
        immutable: false,
    })
}

/// Whether the app is in this executable.
pub fn built() -> bool {
    Dist::get("index.html").is_some()
}

/// The compressed twins are the `gzip` of their file and no files of their own.
fn is_twin(path: &str) -> bool {
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
