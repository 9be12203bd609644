//! OCI image layouts: a folder with `index.json` and blobs that are named by their digests. Every blob is checked
//! against its digest before it is used.

use super::error::{ImageError, at};
use super::layer::{self, Budget};
use super::root::Root;
use davy_model::signature::to_hex;
use flate2::read::MultiGzDecoder;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::{Path, PathBuf};

/// The size of a JSON document, at most.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// Layers, at most.
const LAYERS_MAX: usize = 128;
/// Indices in indices, at most.
const INDICES_MAX: usize = 3;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The part of the configuration of an image that is used.
#[derive(Debug, Default, Deserialize)]
struct ImageConfig {
    #[serde(default)]
    config: ProcessConfig,
}

#[derive(Debug, Default, Deserialize)]
struct ProcessConfig {
    #[serde(rename = "Env", default)]
    env: Option<Vec<String>>,
}

/// An image in a layout.
pub(super) struct Layout {
    folder: PathBuf,
    manifest: Manifest,
    /// The digest of the manifest, in hexadecimal.
    pub(super) digest: String,
}

fn invalid(why: impl std::fmt::Display) -> ImageError {
    ImageError::Layout(why.to_string())
}

/// The architecture of this machine, as OCI names it.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    }
}

impl Layout {
    /// Finds the image for this machine in a layout.
    pub(super) fn open(folder: &Path) -> Result<Self, ImageError> {
        let path = folder.join("index.json");
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(JSON_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(at(&path))?;
        let mut index: Index = decode("index.json", &bytes)?;
        for _ in 0..INDICES_MAX {
            let found = choose(index.manifests)?;
            let bytes = json(folder, &found)?;
            if found.media_type.ends_with(".index.v1+json")
                || found.media_type.ends_with(".manifest.list.v2+json")
            {
                index = decode(&found.digest, &bytes)?;
                continue;
            }
            let manifest: Manifest = decode(&found.digest, &bytes)?;
            if manifest.layers.len() > LAYERS_MAX {
                let count = manifest.layers.len();
                return Err(invalid(format!(
                    "the image has {count} layers; at most {LAYERS_MAX} are allowed"
                )));
            }
            return Ok(Self {
                folder: folder.to_owned(),
                digest: hexadecimal(&found.digest)?.to_owned(),
                manifest,
            });
        }
        Err(invalid("too many indices in indices"))
    }

    /// The environment variables of the image, as `NAME=VALUE`.
    pub(super) fn environment(&self) -> Result<Vec<String>, ImageError> {
        let bytes = json(&self.folder, &self.manifest.config)?;
        let config: ImageConfig = decode(&self.manifest.config.digest, &bytes)?;
        Ok(config.config.env.unwrap_or_default())
    }

    /// Unpacks the layers over each other.
    pub(super) fn unpack(&self, root: &Root, budget: &mut Budget) -> Result<(), ImageError> {
        for layer in &self.manifest.layers {
            let (path, file) = verified(&self.folder, layer)?;
            let open = || {
                let mut file = file.try_clone().map_err(at(&path))?;
                // Both readers share the position, and the first one has ended.
                file.rewind().map_err(at(&path))?;
                reader(file, &layer.media_type, &path)
            };
            layer::unpack(open, root, budget)?;
        }
        Ok(())
    }
}

fn reader(file: File, kind: &str, path: &Path) -> Result<Box<dyn Read>, ImageError> {
    // OCI and Docker: `...tar`, `...tar+gzip`, `...tar.gzip`, `...tar+zstd`.
    if kind.ends_with("tar+gzip") || kind.ends_with("tar.gzip") {
        return Ok(Box::new(MultiGzDecoder::new(file)));
    }
    if kind.rsplit('.').next() == Some("tar") {
        return Ok(Box::new(file));
    }
    Err(invalid(format!(
        "layer {} has the unsupported media type {kind:?}; expected tar or tar+gzip",
        path.display()
    )))
}

/// Chooses the only image for this machine.
fn choose(manifests: Vec<Descriptor>) -> Result<Descriptor, ImageError> {
    let fits = |found: &Descriptor| {
        let platform = found.platform.as_ref();
        platform.is_none_or(|platform| {
            platform.os == "linux" && platform.architecture == architecture()
        })
    };
    let mut fitting: Vec<Descriptor> = manifests.into_iter().filter(fits).collect();
    match fitting.len() {
        1 => Ok(fitting.remove(0)),
        0 => Err(invalid(format!(
            "it has no image for linux/{}",
            architecture()
        ))),
        count => Err(invalid(format!(
            "it has {count} images for linux/{}; expected one",
            architecture()
        ))),
    }
}

fn decode<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| invalid(format!("{what}: {error}")))
}

/// The digest without its algorithm. It becomes part of a path.
fn hexadecimal(digest: &str) -> Result<&str, ImageError> {
    let hexadecimal = digest.strip_prefix("sha256:");
    let is_valid = |text: &&str| {
        text.len() == 64
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    hexadecimal.filter(is_valid).ok_or_else(|| {
        invalid(format!(
            "invalid digest {digest:?}: expected sha256: and 64 hexadecimal digits"
        ))
    })
}

/// Opens a blob whose contents have the digest and the size of its descriptor.
fn verified(folder: &Path, of: &Descriptor) -> Result<(PathBuf, File), ImageError> {
    let path = folder.join("blobs/sha256").join(hexadecimal(&of.digest)?);
    let mut file = File::open(&path).map_err(at(&path))?;
    let (mut digest, mut size) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(at(&path))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        digest.update(&buffer[..count]);
    }
    let got = to_hex(digest.finish().as_ref());
    if of.digest != format!("sha256:{got}") || size != of.size {
        return Err(invalid(format!(
            "blob {} does not match its descriptor: expected {} and {} bytes, got sha256:{got} and {size} bytes",
            path.display(),
            of.digest,
            of.size
        )));
    }
    file.rewind().map_err(at(&path))?;
    Ok((path, file))
}

fn json(folder: &Path, of: &Descriptor) -> Result<Vec<u8>, ImageError> {
    if of.size > JSON_BYTES_MAX {
        return Err(invalid(format!(
            "{} has {} bytes; at most {JSON_BYTES_MAX} are allowed",
            of.digest, of.size
        )));
    }
    let (path, file) = verified(folder, of)?;
    let mut bytes = Vec::new();
    file.take(JSON_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(at(&path))?;
    Ok(bytes)
}
