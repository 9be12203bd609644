//! Symbolizes code locations after the recording.

use crate::files::Files;
use crate::maps::{CodeLocation, MappingKind, Maps};
use crate::perf_map::PerfMaps;
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use davy_profile::{Function, Line, Profile};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A cache of symbols, to be shared by the profiles of a recording.
pub struct Names(Symbolizer);

impl Names {
    /// Returns an empty cache.
    pub fn new() -> Self {
        Self(Symbolizer::new())
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds code locations to a profile. Returns the profile's location of each, and the files that could
/// not be symbolized, with the reasons.
pub(crate) fn locate(
    profile: &mut Profile,
    names: &Names,
    maps: &Maps,
    files: &mut Files,
    locations: impl Iterator<Item = CodeLocation>,
) -> (FxHashMap<CodeLocation, u32>, Vec<(String, String)>) {
    let mut by_file: BTreeMap<u32, Vec<CodeLocation>> = BTreeMap::new();
    for location in locations {
        by_file.entry(location.file).or_default().push(location);
    }
    let mut perf_maps = PerfMaps::default();
    let mut found = FxHashMap::default();
    let mut nameless = Vec::new();
    for (index, mut locations) in by_file {
        locations.sort_unstable_by_key(|location| (location.offset, location.pid));
        locations.dedup();
        let file = &maps.files()[index as usize];
        let name = &file.id.name;
        if file.kind == MappingKind::Jit {
            for location in locations {
                let function = perf_maps.name(location.pid, location.offset);
                let index = profile.named_location(function.unwrap_or(name));
                found.insert(location, index);
            }
            continue;
        }
        match files.path(index, file) {
            Ok(path) => symbolize(profile, &names.0, (&path, name), &locations, &mut found),
            Err(reason) => {
                nameless.push((name.clone(), reason));
                let unknown = profile.named_location(&file_frame(name));
                found.extend(locations.iter().map(|location| (*location, unknown)));
            }
        }
    }
    (found, nameless)
}

/// Name of the frame for all unsymbolized code of a file, rather than one frame for each address.
fn file_frame(path: &str) -> String {
    let short = path.rsplit('/').next().unwrap_or(path);
    format!("[{}]", short.trim_matches(['[', ']']))
}

/// Adds the locations of one file. `path` is where its symbols are read, `name` where it was mapped
/// from.
fn symbolize(
    profile: &mut Profile,
    symbolizer: &Symbolizer,
    (path, name): (&str, &str),
    locations: &[CodeLocation],
    found: &mut FxHashMap<CodeLocation, u32>,
) {
    let offsets: Vec<u64> = locations.iter().map(|location| location.offset).collect();
    let source = Source::Elf(Elf::new(path));
    // A file in an unsupported format has no symbols.
    let symbols = symbolizer
        .symbolize(&source, Input::FileOffset(&offsets))
        .unwrap_or_default();
    for (index, location) in locations.iter().enumerate() {
        let profile_location = match symbols.get(index) {
            Some(Symbolized::Sym(symbol)) => {
                // The innermost inlined function comes first.
                let mut lines: Vec<Line> = Vec::with_capacity(symbol.inlined.len() + 1);
                for inlined in symbol.inlined.iter().rev() {
                    let code = inlined.code_info.as_ref();
                    lines.push(line(profile, &inlined.name, code));
                }
                lines.push(line(profile, &symbol.name, symbol.code_info.as_deref()));
                profile.location(None, location.offset, &lines)
            }
            _ => profile.named_location(&file_frame(name)),
        };
        found.insert(*location, profile_location);
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
