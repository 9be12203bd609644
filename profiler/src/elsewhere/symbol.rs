//! Names that the process itself looks up, because it has no child to ask.

#[path = "../symbol/cache.rs"]
mod cache;
#[path = "../symbol/fold.rs"]
mod fold;
#[path = "../symbol/packed.rs"]
mod packed;

pub(crate) use cache::{Frame, Symbols};
pub(crate) use fold::fold_generics;

use crate::modules::Module;

/// Nothing to serve here.
pub fn serve_if_asked() {}

pub(crate) fn children() -> u64 {
    0
}

/// Addresses of a module.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) module: &'a Module,
    pub(crate) addresses: Vec<u64>,
}

/// Frames of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) request: usize,
    pub(crate) start: u64,
    pub(crate) length: u64,
    /// Innermost first.
    pub(crate) frames: Vec<ResolvedFrame>,
}

/// A function, its file and a line, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedFrame {
    pub(crate) function: std::rc::Rc<str>,
    pub(crate) file: std::rc::Rc<str>,
    pub(crate) line: u32,
}

mod child {
    use super::{Request, Resolved};
    use std::io;

    /// There is no child; whoever asks goes on to the table.
    pub(super) fn ask(_requests: &[Request<'_>]) -> io::Result<Vec<Resolved>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

mod table {
    use super::{Request, Resolved, ResolvedFrame};

    pub(super) fn resolve(requests: &[Request<'_>]) -> Vec<Resolved> {
        let mut all = Vec::new();
        for (request, of) in requests.iter().enumerate() {
            for start in of.addresses.iter().copied() {
                let mut frames = Vec::new();
                backtrace::resolve(start as *mut std::ffi::c_void, |symbol| {
                    let name = symbol.name().map(|name| format!("{name:#}"));
                    let file = symbol.filename().map(|file| file.display().to_string());
                    frames.push(ResolvedFrame {
                        function: name.unwrap_or_default().into(),
                        file: file.unwrap_or_default().into(),
                        line: symbol.lineno().unwrap_or(0),
                    });
                });
                frames.retain(|frame| !frame.function.is_empty());
                all.push(Resolved {
                    request,
                    start,
                    length: 1,
                    frames,
                });
            }
        }
        all
    }
}
