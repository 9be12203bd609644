//! Finds the file that holds the debug information of a stripped one: by build id, and by
//! `.gnu_debuglink`.
//!
//! Distributions and `objcopy --only-keep-debug` make such files; the search paths are those of GDB's manual,
//! "Debugging Information in Separate Files". Sections may be compressed. Split DWARF (.dwo, .dwp) is found
//! by `addr2line` itself, beside the real path of the file.

use super::elf::{self, Elf};
use crate::loader;
use object::{Object, ObjectSection};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The global folder of debug files.
const DEBUG: &str = "/usr/lib/debug";

/// The file with the debug information of `path`: `path` itself if there is no other.
pub(super) fn find(path: &Path) -> PathBuf {
    let real = real_path(path);
    with_elf(&real, |elf| separate_file(elf, &real))
        .flatten()
        .unwrap_or(real)
}

/// The file with the debug information that several files share, which dwz extracted (`.gnu_debugaltlink`).
pub(super) fn supplementary(elf: &Elf<'_>, path: &Path) -> Option<PathBuf> {
    let (name, build_id) = elf.gnu_debugaltlink().ok()??;
    let name = Path::new(OsStr::from_bytes(name));
    let found = path.parent()?.join(name);
    is_same_build(&found, Some(build_id), None).then_some(found)
}

/// The real path of a file. The path of the executable is a link in `/proc`, with no debug file beside it.
fn real_path(path: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    match std::fs::canonicalize(path) {
        // Another file may have been put at that path since the process started.
        Ok(real) if identity(&real) == identity(path) => real,
        _ => path.to_owned(),
    }
}

/// The separate debug file of a file without line tables.
fn separate_file(elf: &Elf<'_>, real: &Path) -> Option<PathBuf> {
    let has = |name: &str| elf.section_by_name(name).is_some_and(|s| s.size() > 0);
    if has(".debug_line") || has(".zdebug_line") {
        return None;
    }
    let build_id = elf.build_id().ok().flatten();
    let by_id = build_id.and_then(|id| {
        let (first, rest) = id.split_first()?;
        let rest = loader::hex(rest);
        Some(PathBuf::from(format!(
            "{DEBUG}/.build-id/{first:02x}/{rest}.debug"
        )))
    });
    let link = elf.gnu_debuglink().ok().flatten();
    let by_link = link.and_then(|(name, _)| {
        let (name, folder) = (std::str::from_utf8(name).ok()?, real.parent()?);
        let global = Path::new(DEBUG).join(folder.strip_prefix("/").unwrap_or(folder));
        Some([
            folder.join(name),
            folder.join(".debug").join(name),
            global.join(name),
        ])
    });
    let checksum = link.map(|(_, checksum)| checksum);
    let mut candidates = by_id.into_iter().chain(by_link.into_iter().flatten());
    candidates.find(|path| path != real && is_same_build(path, build_id, checksum))
}

/// Whether a debug file has this build id or this checksum of a `.gnu_debuglink`. Debug information of
/// another build gives wrong names.
fn is_same_build(path: &Path, build_id: Option<&[u8]>, checksum: Option<u32>) -> bool {
    let compared = with_elf(path, |debug| {
        let other = debug.build_id().ok().flatten();
        Some(other? == build_id?)
    });
    match compared {
        None => false,
        Some(Some(is_same)) => is_same,
        // Without a build id on either side, the checksum of `.gnu_debuglink` decides.
        Some(None) => checksum.is_some() && crc(path) == checksum,
    }
}

fn crc(path: &Path) -> Option<u32> {
    let bytes = std::fs::read(path).ok()?;
    Some(crc32fast::hash(&bytes))
}

fn with_elf<T>(path: &Path, read: impl FnOnce(&Elf<'_>) -> T) -> Option<T> {
    let map = elf::map(path).ok()?;
    Some(read(&elf::parse(&map).ok()?))
}
