//! Names of code generated at run time, from the map files that JIT compilers write.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Bytes of a map file that are read.
const BYTES_MAX: u64 = 64 << 20;

/// The map file of each process, read at the first lookup: size and name by address.
#[derive(Debug, Default)]
pub(crate) struct PerfMaps(FxHashMap<u32, BTreeMap<u64, (u64, String)>>);

impl PerfMaps {
    /// Name of the function at an address.
    pub(crate) fn name(&mut self, pid: u32, address: u64) -> Option<&str> {
        let functions = self.0.entry(pid).or_insert_with(|| read(pid));
        let (start, (size, name)) = functions.range(..=address).next_back()?;
        (address - start < *size).then_some(name)
    }
}

/// Reads `/tmp/perf-PID.map` in the process's own mount and pid namespaces or, once it has exited, in
/// ours.
fn read(pid: u32) -> BTreeMap<u64, (u64, String)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last());
    let inside = own.map(|own| format!("/proc/{pid}/root/tmp/perf-{own}.map"));
    let here = Some(format!("/tmp/perf-{pid}.map"));
    let text = inside.into_iter().chain(here).find_map(|path| text(&path));
    functions(&text.unwrap_or_default())
}

fn text(path: &str) -> Option<String> {
    // Any user can create this path: a named pipe must not block the recording.
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Parses lines of start, size and name, the numbers in hexadecimal.
fn functions(text: &str) -> BTreeMap<u64, (u64, String)> {
    let functions = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ' ');
        let mut number = || u64::from_str_radix(fields.next()?.trim_start_matches("0x"), 16).ok();
        let (start, size) = (number()?, number()?);
        Some((start, (size, fields.next()?.to_owned())))
    });
    functions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_names_the_addresses_from_its_start_up_to_its_size() {
        let text = "1000 10 LazyCompile:~pay /shop.js:3\n0x2000 8 b\nnonsense\n3000 4\n";
        let functions = functions(text);
        let mut maps = PerfMaps(FxHashMap::from_iter([(7, functions)]));
        assert_eq!(maps.name(7, 0x100f), Some("LazyCompile:~pay /shop.js:3"));
        assert_eq!(maps.name(7, 0x1010), None);
        assert_eq!(maps.name(7, 0x2000), Some("b"));
        assert_eq!(maps.name(7, 0x3000), None);
    }

    #[test]
    fn named_pipe_does_not_block() {
        let folder = tempfile::tempdir().expect("create a folder");
        let path = folder.path().join("perf-1.map");
        let status = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(status.expect("run mkfifo").success());
        assert_eq!(text(path.to_str().expect("a UTF-8 path")), None);
    }
}
