//! Names of the kernel's functions, from `/proc/kallsyms`.

use std::io::{self, BufRead, BufReader};
use std::sync::OnceLock;

const FILE: &str = "/proc/kallsyms";
/// An address further from the start of the last function is in none that the file lists.
const FUNCTION_BYTES_MAX: u64 = 1 << 20;

/// The functions of the running kernel, about 5 MiB. Read at the first use, which takes about 0.1 s.
#[derive(Default)]
pub(crate) struct KernelSymbols {
    functions: OnceLock<Functions>,
}

impl KernelSymbols {
    /// The name of the function at an address; none if it is not known.
    pub(crate) fn function(&self, address: u64) -> Option<&str> {
        let functions = self.functions.get_or_init(|| {
            let read =
                std::fs::File::open(FILE).and_then(|file| Functions::read(BufReader::new(file)));
            read.unwrap_or_default()
        });
        functions.at(address)
    }
}

/// Why names of the kernel's functions cannot be read, with a remedy.
pub(crate) fn check() -> Result<(), String> {
    let remedy = "allow it by `sysctl kernel.kptr_restrict=0` and CAP_SYSLOG";
    let file = std::fs::File::open(FILE).map_err(|error| format!("cannot open {FILE}: {error}"))?;
    let mut line = String::new();
    let read = BufReader::new(file).read_line(&mut line);
    read.map_err(|error| format!("cannot read {FILE}: {error}"))?;
    if parse(&line).is_none_or(|(address, _, _)| address == 0) {
        return Err(format!(
            "{FILE} hides the addresses of the kernel's functions; {remedy}"
        ));
    }
    Ok(())
}

/// Functions sorted by address.
#[derive(Default)]
struct Functions {
    /// Address and start of the name.
    starts: Vec<(u64, u32)>,
    /// Names, each with its end.
    names: String,
}

impl Functions {
    fn read(lines: impl BufRead) -> io::Result<Self> {
        let mut functions = Self::default();
        for line in lines.lines() {
            let line = line?;
            let Some((address, kind, name)) = parse(&line) else {
                continue;
            };
            if matches!(kind, "t" | "T" | "w" | "W") {
                let start = functions.names.len() as u32;
                functions.starts.push((address, start));
                functions.names.push_str(name);
                functions.names.push('\n');
            }
        }
        // Stable: of names with equal addresses, the first of the file is found.
        functions.starts.sort_by_key(|(address, _)| *address);
        functions.starts.dedup_by_key(|(address, _)| *address);
        functions.starts.shrink_to_fit();
        functions.names.shrink_to_fit();
        Ok(functions)
    }

    fn at(&self, address: u64) -> Option<&str> {
        let after = self.starts.partition_point(|(start, _)| *start <= address);
        let (start, name) = *self.starts.get(after.checked_sub(1)?)?;
        let is_near = address - start < FUNCTION_BYTES_MAX;
        is_near.then(|| self.names[name as usize..].lines().next())?
    }
}

/// Address, type and name of a line.
fn parse(line: &str) -> Option<(u64, &str, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
    Some((address, fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_is_the_last_that_starts_at_or_before_the_address() {
        let text = "ffffffff81000100 T vfs_read\n\
            ffffffff81000000 T _stext\n\
            ffffffff81000000 t _text\n\
            ffffffff81000180 d some_data\n\
            ffffffffc0000000 t ext4_read\t[ext4]\n\
            not a symbol\n";
        let functions = Functions::read(text.as_bytes()).expect("readable");
        assert_eq!(functions.at(0xffff_ffff_80ff_ffff), None);
        assert_eq!(functions.at(0xffff_ffff_8100_0000), Some("_stext"));
        assert_eq!(functions.at(0xffff_ffff_8100_00ff), Some("_stext"));
        assert_eq!(functions.at(0xffff_ffff_8100_0190), Some("vfs_read"));
        assert_eq!(functions.at(0xffff_ffff_9000_0000), None);
        assert_eq!(functions.at(0xffff_ffff_c000_0010), Some("ext4_read"));
    }
}
