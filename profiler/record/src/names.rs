//! Names of places, once the recording is over.

use crate::files::Files;
use crate::jit::Made;
use crate::maps::{Kind, Maps, Place};
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use davy_profile::{Function, Line, Profile};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What was read of files for names; whoever takes several profiles of a recording keeps it.
pub struct Names(Symbolizer);

impl Names {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Symbolizer::new())
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives each place its location in a profile. Also names the files without names, and says why.
pub(crate) fn locate(
    profile: &mut Profile,
    names: &Names,
    maps: &Maps,
    files: &mut Files,
    places: impl Iterator<Item = Place>,
) -> (FxHashMap<Place, u32>, Vec<(String, String)>) {
    let mut by_file: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for place in places {
        by_file.entry(place.file).or_default().push(place);
    }
    let mut made = Made::default();
    let mut found = FxHashMap::default();
    let mut nameless = Vec::new();
    for (number, mut places) in by_file {
        places.sort_unstable_by_key(|place| (place.offset, place.pid));
        places.dedup();
        let file = &maps.files()[number as usize];
        let name = &file.id.name;
        if file.kind == Kind::Made {
            for place in places {
                let name = made.name(place.pid, place.offset).unwrap_or(name);
                found.insert(place, profile.named_location(name));
            }
            continue;
        }
        match files.path(number, file) {
            Ok(path) => of_file(profile, &names.0, (&path, name), &places, &mut found),
            Err(why) => {
                nameless.push((name.clone(), why));
                let location = profile.named_location(&without_names(name));
                found.extend(places.iter().map(|place| (*place, location)));
            }
        }
    }
    (found, nameless)
}

/// One frame for all of a file without names, rather than one for each address.
fn without_names(path: &str) -> String {
    let short = path.rsplit('/').next().unwrap_or(path);
    format!("[{}]", short.trim_matches(['[', ']']))
}

fn of_file(
    profile: &mut Profile,
    symbolizer: &Symbolizer,
    (path, name): (&str, &str),
    places: &[Place],
    found: &mut FxHashMap<Place, u32>,
) {
    let offsets: Vec<u64> = places.iter().map(|place| place.offset).collect();
    let source = Source::Elf(Elf::new(path));
    // What is no program of the kind that is known has no names; its places keep their file's.
    let symbols = symbolizer
        .symbolize(&source, Input::FileOffset(&offsets))
        .unwrap_or_default();
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
            _ => profile.named_location(&without_names(name)),
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
