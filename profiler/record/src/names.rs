//! Symbolizes code locations after the recording.

use crate::files::Files;
use crate::maps::{CodeLocation, MappingKind, Maps};
use crate::perf_map::PerfMaps;
use blazesym::helper::read_elf_build_id;
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use davy_profile::{Function, Line, Mapping, Profile};
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
/// not be symbolized, with the reasons. If `keeps_addresses` is set, code without a name keeps its address and its file.
pub(crate) fn locate(
    profile: &mut Profile,
    (names, keeps_addresses): (&Names, bool),
    maps: &Maps,
    files: &mut Files,
    locations: impl Iterator<Item = CodeLocation>,
) -> (FxHashMap<CodeLocation, u32>, Vec<(String, String)>) {
    let mut by_file: BTreeMap<u32, Vec<CodeLocation>> = BTreeMap::new();
    for location in locations {
        by_file.entry(location.file).or_default().push(location);
    }
    // The mapping of the program is the first one of a profile, even if no sample needs it.
    let mut mappings = FxHashMap::default();
    if keeps_addresses && let Some(program) = maps.files().first() {
        let path = files.path(0, program).unwrap_or_default();
        mappings.insert(0, mapping_of(profile, &path, &program.id.name));
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
            Ok(path) => {
                let missing = symbolize(profile, &names.0, (&path, name), &locations, &mut found);
                if !keeps_addresses || missing.is_empty() {
                    continue;
                }
                let mapping = mappings.entry(index);
                let mapping = mapping.or_insert_with(|| mapping_of(profile, &path, name));
                let Some(mapping) = *mapping else {
                    continue;
                };
                for location in missing {
                    let index = profile.location(Some(mapping), location.offset, &[]);
                    found.insert(location, index);
                }
            }
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

/// Adds the mapping of a file with a build id, whose addresses are offsets in the file.
fn mapping_of(profile: &mut Profile, path: &str, name: &str) -> Option<u32> {
    let build_id = read_elf_build_id(path).ok().flatten()?;
    let mut hexadecimal = String::with_capacity(build_id.len() * 2);
    for byte in build_id.iter() {
        hexadecimal.push_str(&format!("{byte:02x}"));
    }
    let mapping = Mapping {
        limit: i64::MAX as u64,
        file: profile.strings.intern(name),
        build_id: profile.strings.intern(&hexadecimal),
        ..Mapping::default()
    };
    profile.mappings.push(mapping);
    Some(profile.mappings.len() as u32 - 1)
}

/// Adds the locations of one file, and returns those without a name. `path` is where its symbols are read, `name` where it
/// was mapped from.
fn symbolize(
    profile: &mut Profile,
    symbolizer: &Symbolizer,
    (path, name): (&str, &str),
    locations: &[CodeLocation],
    found: &mut FxHashMap<CodeLocation, u32>,
) -> Vec<CodeLocation> {
    let mut missing = Vec::new();
    let offsets: Vec<u64> = locations.iter().map(|location| location.offset).collect();
    let source = Source::Elf(Elf::new(path));
    // A file in an unsupported format has no symbols.
    let symbols = symbolizer
        .symbolize(&source, Input::FileOffset(&offsets))
        .unwrap_or_default();
    for (index, location) in locations.iter().enumerate() {
        let profile_location = if let Some(Symbolized::Sym(symbol)) = symbols.get(index) {
            // The innermost inlined function comes first.
            let mut lines: Vec<Line> = Vec::with_capacity(symbol.inlined.len() + 1);
            for inlined in symbol.inlined.iter().rev() {
                let code = inlined.code_info.as_ref();
                lines.push(line(profile, &inlined.name, code));
            }
            lines.push(line(profile, &symbol.name, symbol.code_info.as_deref()));
            profile.location(None, location.offset, &lines)
        } else {
            missing.push(*location);
            profile.named_location(&file_frame(name))
        };
        found.insert(*location, profile_location);
    }
    missing
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
