//! Names of places, once the recording is over.

use crate::maps::{Maps, Place};
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use davy_profile::{Function, Line, Profile};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Gives each place its location in a profile.
pub(crate) fn locate(
    profile: &mut Profile,
    maps: &Maps,
    places: impl Iterator<Item = Place>,
) -> FxHashMap<Place, u32> {
    let mut by_file: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for place in places {
        by_file.entry(place.file).or_default().push(place);
    }
    let symbolizer = Symbolizer::new();
    let mut found = FxHashMap::default();
    for (file, mut places) in by_file {
        places.sort_unstable_by_key(|place| (place.offset, place.pid));
        places.dedup();
        let name = &maps.files()[file as usize];
        if name.starts_with('/') {
            of_file(profile, &symbolizer, name, &places, &mut found);
        } else {
            of_no_file(profile, name, &places, &mut found);
        }
    }
    found
}

fn of_file(
    profile: &mut Profile,
    symbolizer: &Symbolizer,
    path: &str,
    places: &[Place],
    found: &mut FxHashMap<Place, u32>,
) {
    let offsets: Vec<u64> = places.iter().map(|place| place.offset).collect();
    let source = Source::Elf(Elf::new(path));
    // A file that is gone, or is none, has no names; its places keep their offsets.
    let symbols = symbolizer
        .symbolize(&source, Input::FileOffset(&offsets))
        .unwrap_or_default();
    let short = path.rsplit('/').next().unwrap_or(path);
    for (index, place) in places.iter().enumerate() {
        let location = match symbols.get(index) {
            Some(Symbolized::Sym(symbol)) => {
                // The innermost inlined function comes first.
                let mut lines: Vec<Line> = Vec::with_capacity(symbol.inlined.len() + 1);
                for inlined in symbol.inlined.iter().rev() {
                    let code = inlined.code_info.as_ref();
                    lines.push(line(profile, &inlined.name, code));
                }
                lines.push(line(profile, &symbol.name, symbol.code_info.as_deref()));
                profile.location(None, place.offset, &lines)
            }
            // One frame for all of a file without names, rather than one for each address.
            _ => profile.named_location(&format!("[{short}]")),
        };
        found.insert(*place, location);
    }
}

fn line(
    profile: &mut Profile,
    name: &str,
    code: Option<&blazesym::symbolize::CodeInfo<'_>>,
) -> Line {
    let file = code.map_or_else(String::new, |code| code.to_path().display().to_string());
    let name = profile.strings.intern(name);
    let file = profile.strings.intern(&file);
    let function = profile.function(Function {
        name,
        system_name: name,
        file,
        start_line: 0,
    });
    Line {
        function,
        line: code.and_then(|code| code.line).map_or(0, i64::from),
        column: code.and_then(|code| code.column).map_or(0, i64::from),
    }
}

/// Code that was made at run time: some runtimes write down what they made.
fn of_no_file(
    profile: &mut Profile,
    name: &str,
    places: &[Place],
    found: &mut FxHashMap<Place, u32>,
) {
    let mut written: FxHashMap<u32, BTreeMap<u64, (u64, String)>> = FxHashMap::default();
    for place in places {
        let functions = written
            .entry(place.pid)
            .or_insert_with(|| perf_map(place.pid));
        let function = functions.range(..=place.offset).next_back();
        let function = function.filter(|(start, (size, _))| place.offset - **start < *size);
        let name = function.map_or(name, |(_, (_, name))| name);
        found.insert(*place, profile.named_location(name));
    }
}

/// Bytes of such a file that are read.
const PERF_MAP_MAX: u64 = 64 << 20;

/// `/tmp/perf-PID.map`: lines of start, size and name, the numbers in hexadecimal.
fn perf_map(pid: u32) -> BTreeMap<u64, (u64, String)> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(format!("/tmp/perf-{pid}.map"));
    // Most processes have none.
    let _ = file.and_then(|file| file.take(PERF_MAP_MAX).read_to_string(&mut text));
    let functions = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ' ');
        let mut number = || u64::from_str_radix(fields.next()?.trim_start_matches("0x"), 16).ok();
        let (start, size) = (number()?, number()?);
        Some((start, (size, fields.next()?.to_owned())))
    });
    functions.collect()
}
