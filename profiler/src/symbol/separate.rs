//! Debug information in a file of its own: by build id, and by `.gnu_debuglink`.
//!
//! Where distributions and `objcopy --only-keep-debug` put it; GDB's manual, "Debugging Information
//! in Separate Files", tells the places. Split DWARF (.dwo, .dwp) is found by `addr2line` itself,
//! beside the real path of the file.

use crate::modules;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::path::{Path, PathBuf};

const DEBUG: &str = "/usr/lib/debug";

type Elf<'a> = ElfFile64<'a, object::Endianness>;

/// The file that has the debug information of `path`: itself, if no other has.
pub(super) fn find(path: &Path) -> PathBuf {
    let real = real(path);
    with_elf(&real, |elf| other(elf, &real))
        .flatten()
        .unwrap_or(real)
}

/// The path that a file goes by: that of the executable is a link in `/proc`, beside which nothing
/// else lies.
fn real(path: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    match std::fs::canonicalize(path) {
        // The file of that name may be another one by now.
        Ok(real) if identity(&real) == identity(path) => real,
        _ => path.to_owned(),
    }
}

fn other(elf: &Elf<'_>, real: &Path) -> Option<PathBuf> {
    let has = |name: &str| elf.section_by_name(name).is_some_and(|s| s.size() > 0);
    if has(".debug_line") || has(".zdebug_line") {
        return None;
    }
    let build_id = elf.build_id().ok().flatten();
    let by_id = build_id.and_then(|id| {
        let (first, rest) = id.split_first()?;
        let rest = modules::hex(rest);
        Some(PathBuf::from(format!(
            "{DEBUG}/.build-id/{first:02x}/{rest}.debug"
        )))
    });
    let link = elf.gnu_debuglink().ok().flatten();
    let by_link = link.and_then(|(name, _)| {
        let (name, folder) = (std::str::from_utf8(name).ok()?, real.parent()?);
        let far = Path::new(DEBUG).join(folder.strip_prefix("/").unwrap_or(folder));
        Some([
            folder.join(name),
            folder.join(".debug").join(name),
            far.join(name),
        ])
    });
    let mut candidates = by_id.into_iter().chain(by_link.into_iter().flatten());
    candidates.find(|path| {
        // A file of another build would give wrong names.
        let same_id = || with_elf(path, |other| other.build_id().ok().flatten() == build_id);
        let same_sum = || Some(crc(path)? == link?.1);
        let is_same = match build_id {
            Some(_) => same_id(),
            None => same_sum(),
        };
        path != real && is_same == Some(true)
    })
}

fn crc(path: &Path) -> Option<u32> {
    std::fs::read(path)
        .ok()
        .map(|bytes| crc32fast::hash(&bytes))
}

fn with_elf<T>(path: &Path, read: impl FnOnce(&Elf<'_>) -> T) -> Option<T> {
    let file = std::fs::File::open(path).ok()?;
    // SAFETY: the map is read through bounds checks only, in a child that a fault would only end.
    let map = unsafe { memmap2::Mmap::map(&file) }.ok()?;
    Some(read(&Elf::parse(&*map).ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::resolve;
    use super::*;
    use std::process::Command;

    #[inline(never)]
    extern "C" fn a_function_to_be_named() -> u32 {
        std::hint::black_box(7)
    }

    fn objcopy(arguments: &[&str], folder: &Path) {
        let status = Command::new("objcopy")
            .args(arguments)
            .current_dir(folder)
            .status();
        assert!(
            status.expect("binutils are there").success(),
            "{arguments:?}"
        );
    }

    #[test]
    fn a_stripped_file_is_named_from_the_debug_file_that_it_links_to() {
        let address = a_function_to_be_named as *const () as u64;
        let modules = modules::list();
        let module = &modules[modules::containing(&modules, address).expect("ours")];
        let address = address - module.bias;
        let lines = |path: &Path| {
            let mut found = Vec::new();
            resolve::file(path, &[address], |start, length, frames| {
                if (start..start + length).contains(&address) {
                    found.extend(frames.iter().map(|f| (f.function.clone(), f.line)));
                }
            });
            found
        };
        let folder = tempfile::tempdir().expect("a folder");
        let own = std::env::current_exe().expect("this test");
        let own = own.to_str().expect("a path");
        objcopy(&["--only-keep-debug", own, "x.debug"], folder.path());
        objcopy(
            &["--strip-all", "--add-gnu-debuglink=x.debug", own, "x"],
            folder.path(),
        );
        let stripped = folder.path().join("x");
        let named = lines(&stripped);
        let (name, line) = named.first().expect("it is named");
        assert!(name.ends_with("a_function_to_be_named"), "{named:?}");
        assert!(*line > 0, "{named:?}");
        assert_eq!(
            find(&stripped),
            folder.path().join("x.debug").canonicalize().expect("there")
        );

        // Of another build: no name is better than a wrong one.
        std::fs::write(folder.path().join("x.debug"), b"not it").expect("written");
        assert_eq!(lines(&stripped), []);
        assert!(a_function_to_be_named() == 7);
    }
}
