//! Where the loader can't be asked for its list, all of memory is one module, and names are asked for
//! by address.

use std::ops::Range;
use std::path::PathBuf;

/// User space ends below this.
const END: u64 = 1 << 56;

#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) bias: u64,
    pub(crate) range: Range<u64>,
    pub(crate) text: Range<u64>,
    pub(crate) text_offset: u64,
    pub(crate) build_id: String,
    pub(crate) is_executable: bool,
}

pub(crate) fn list() -> Vec<Module> {
    let path = std::env::current_exe().unwrap_or_default();
    vec![Module {
        name: path.display().to_string(),
        path,
        bias: 0,
        range: 0..END,
        text: 0..END,
        text_offset: 0,
        build_id: String::new(),
        is_executable: true,
    }]
}

pub(crate) fn containing(modules: &[Module], address: u64) -> Option<usize> {
    modules
        .iter()
        .position(|module| module.range.contains(&address))
}
