//! Resolves names in this process, by the crate backtrace.

use crate::lookup::{Lookup, NamedFrame, ResolvedRange};
use std::io;

/// Does nothing: there is no symbolizing child on this system.
pub fn serve_if_asked() {}

/// The number of symbolizing children that were started.
pub(crate) fn children() -> u64 {
    0
}

/// Fails, so that the caller uses [`resolve_by_tables`].
pub(crate) fn resolve(_lookups: &[Lookup<'_>]) -> io::Result<Vec<ResolvedRange>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn resolve_by_tables(lookups: &[Lookup<'_>]) -> Vec<ResolvedRange> {
    let mut ranges = Vec::new();
    for (index, lookup) in lookups.iter().enumerate() {
        for start in lookup.addresses.iter().copied() {
            let mut frames = Vec::new();
            backtrace::resolve(start as *mut std::ffi::c_void, |symbol| {
                let name = symbol.name().map(|name| format!("{name:#}"));
                let file = symbol.filename().map(|file| file.display().to_string());
                frames.push(NamedFrame {
                    function: name.unwrap_or_default().into(),
                    file: file.unwrap_or_default().into(),
                    line: symbol.lineno().unwrap_or(0),
                });
            });
            frames.retain(|frame| !frame.function.is_empty());
            ranges.push(ResolvedRange {
                lookup: index,
                start,
                length: 1,
                frames,
            });
        }
    }
    ranges
}
