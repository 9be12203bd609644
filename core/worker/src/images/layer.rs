//! Layers: tar files that are unpacked over each other. They come from outside: what leads out of the root file
//! system, devices, and more than the limits allow are refused with the name of the entry.

use super::error::{ImageError, at, refused};
use super::root::{Attributes, Root};
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// The size of a name in an extended header, at most.
const NAME_BYTES_MAX: u64 = 4_096;
/// The size of an extended header, at most.
const PAX_BYTES_MAX: u64 = 1 << 20;
/// The prefix of entries that remove one of a lower layer.
const WHITEOUT: &[u8] = b".wh.";
/// The entry that removes everything that lower layers have in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Owners in an image; more do not fit in a user namespace.
const OWNERS: u64 = 65_536;

/// What an image may still contain.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes_max: u64,
    pub(super) entries_max: u64,
    bytes: u64,
    entries: u64,
}

impl Budget {
    pub(super) const fn new(bytes_max: u64, entries_max: u64) -> Self {
        Self {
            bytes_max,
            entries_max,
            bytes: 0,
            entries: 0,
        }
    }

    fn take(&mut self, entry: &Path, size: u64) -> Result<(), ImageError> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        let too_large = |limit, unit| ImageError::TooLarge {
            entry: entry.to_owned(),
            limit,
            unit,
        };
        if self.entries > self.entries_max {
            return Err(too_large(self.entries_max, "files"));
        }
        if self.bytes > self.bytes_max {
            return Err(too_large(self.bytes_max, "bytes"));
        }
        Ok(())
    }
}

/// What an entry is.
enum Kind {
    Folder,
    File,
    Link(PathBuf),
    Name(PathBuf),
    Whiteout(OsString),
    Opaque,
}

struct Header {
    path: PathBuf,
    kind: Kind,
    attributes: Attributes,
}

/// What extended headers say about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
}

/// Unpacks a layer. `open` is called twice: a layer first removes what it hides, then adds.
pub(super) fn unpack<R: Read>(
    open: impl Fn() -> Result<R, ImageError>,
    root: &Root,
    budget: &mut Budget,
) -> Result<(), ImageError> {
    let mut first = Budget::new(budget.bytes_max, budget.entries_max);
    each(open()?, &mut first, |header, _| {
        let parent = header.path.parent().unwrap_or(Path::new(""));
        let failed = |error: io::Error| refused(&header.path, error);
        match &header.kind {
            Kind::Opaque => root.empty(parent).map_err(failed),
            Kind::Whiteout(name) => {
                let place = root.place(&parent.join(name)).map_err(failed)?;
                place.map_or(Ok(()), |place| place.clear()).map_err(failed)
            }
            _ => Ok(()),
        }
    })?;
    each(open()?, budget, |header, contents| {
        let failed = |error: io::Error| refused(&header.path, error);
        let Some(place) = root.place(&header.path).map_err(failed)? else {
            return Ok(());
        };
        let attributes = header.attributes;
        match &header.kind {
            Kind::Folder => root.make_folder(&place, attributes).map_err(failed),
            Kind::File => root
                .make_file(&place, attributes, contents)
                .map(drop)
                .map_err(failed),
            Kind::Link(target) => root.make_link(&place, attributes, target).map_err(failed),
            Kind::Name(target) => {
                let target = root.place(target).map_err(failed)?;
                let Some(target) = target else {
                    return Err(refused(&header.path, "its target is the root"));
                };
                Root::make_name(&place, &target).map_err(failed)
            }
            Kind::Whiteout(_) | Kind::Opaque => Ok(()),
        }
    })
}

/// Calls a function for each entry, with a reader of its contents.
fn each(
    reader: impl Read,
    budget: &mut Budget,
    mut call: impl FnMut(&Header, &mut dyn Read) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut archive = Archive::new(BufReader::with_capacity(128 << 10, reader));
    let mut extended = Extended::default();
    // Raw, because otherwise names of any size are read into memory.
    let entries = archive.entries().map_err(ImageError::Damaged)?.raw(true);
    for entry in entries {
        let mut entry = entry.map_err(ImageError::Damaged)?;
        let size = entry.header().entry_size().map_err(ImageError::Damaged)?;
        let named = PathBuf::from(OsString::from_vec(entry.header().path_bytes().into_owned()));
        let bounded = |limit: u64, entry: &mut tar::Entry<'_, _>| {
            if size > limit {
                return Err(ImageError::TooLarge {
                    entry: named.clone(),
                    limit,
                    unit: "bytes of an extended header",
                });
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(ImageError::Damaged)?;
            Ok(bytes)
        };
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                extended.path = Some(without_zeros(bounded(NAME_BYTES_MAX, &mut entry)?));
                continue;
            }
            EntryType::GNULongLink => {
                extended.link = Some(without_zeros(bounded(NAME_BYTES_MAX, &mut entry)?));
                continue;
            }
            EntryType::XHeader => {
                pax(&bounded(PAX_BYTES_MAX, &mut entry)?, &mut extended);
                continue;
            }
            EntryType::XGlobalHeader => {
                bounded(PAX_BYTES_MAX, &mut entry)?;
                continue;
            }
            _ => {}
        }
        let header = header(entry.header(), std::mem::take(&mut extended), size)?;
        budget.take(&header.path, size)?;
        call(&header, &mut entry)?;
    }
    Ok(())
}

fn without_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// Records of the form `LENGTH KEY=VALUE\n`. What is not understood is ignored, as other programs do.
fn pax(mut bytes: &[u8], extended: &mut Extended) {
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space]).ok();
        let length = length.and_then(|text| text.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| bytes.get(space + 1..length)) else {
            return;
        };
        bytes = &bytes[space + 1 + record.len()..];
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let Some(equals) = record.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        match key {
            b"path" => extended.path = Some(value.to_owned()),
            b"linkpath" => extended.link = Some(value.to_owned()),
            b"uid" => extended.uid = number(),
            b"gid" => extended.gid = number(),
            b"size" => extended.size = number(),
            _ => {}
        }
    }
}

fn header(header: &tar::Header, extended: Extended, size: u64) -> Result<Header, ImageError> {
    let path = extended
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let path = PathBuf::from(OsString::from_vec(path));
    check_path(&path, &path)?;
    if extended.size.is_some_and(|extended| extended != size) {
        return Err(refused(&path, "files of 8 GiB and more are not supported"));
    }
    let target = || {
        let link = extended.link.clone();
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let target = PathBuf::from(OsString::from_vec(link.unwrap_or_default()));
        if target.as_os_str().is_empty() {
            return Err(refused(&path, "a link without a target"));
        }
        Ok(target)
    };
    let name = path.file_name().unwrap_or_default().as_bytes();
    let kind = match header.entry_type() {
        _ if name == OPAQUE => Kind::Opaque,
        _ if name.starts_with(WHITEOUT) => {
            let hidden = OsString::from_vec(name[WHITEOUT.len()..].to_vec());
            if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
                return Err(refused(&path, "it leads out of its folder"));
            }
            Kind::Whiteout(hidden)
        }
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Link(target()?),
        EntryType::Link => {
            let target = target()?;
            check_path(&target, &path)?;
            Kind::Name(target)
        }
        EntryType::Char | EntryType::Block => {
            return Err(refused(&path, "devices are not allowed in an image"));
        }
        _ => {
            let why = "neither a file, a folder nor a link";
            return Err(refused(&path, why));
        }
    };
    let owner = |extended: Option<u64>, header: io::Result<u64>| {
        let owner = extended.or(header.ok()).unwrap_or(0);
        if owner < OWNERS {
            return Ok(owner as u32);
        }
        Err(refused(
            &path,
            format!("owner {owner} is not below {OWNERS}"),
        ))
    };
    let attributes = Attributes {
        uid: owner(extended.uid, header.uid())?,
        gid: owner(extended.gid, header.gid())?,
        mode: header.mode().map_err(at(&path))?,
    };
    Ok(Header {
        path,
        kind,
        attributes,
    })
}

/// Refuses a path that could lead out.
fn check_path(path: &Path, entry: &Path) -> Result<(), ImageError> {
    for part in path.components() {
        match part {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => {
                return Err(refused(entry, "it leads out of the image by `..`"));
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err(refused(entry, "its path is absolute"));
            }
        }
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(refused(entry, "its name has a zero byte"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
