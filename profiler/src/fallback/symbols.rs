//! Resolves names in this process, by the crate backtrace.

use crate::modules::Module;
use davy_base::Clock;
use rustc_hash::FxHashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum number of addresses whose names are kept.
const ADDRESSES_MAX: usize = 50_000;

/// Function, source file and line, the innermost first.
type Frames = Arc<[(String, String, u32)]>;

/// A symbol index of a file: there are none on this system.
#[derive(Debug)]
pub(crate) enum Index {}

impl Index {
    pub(crate) fn build_id(&self) -> &str {
        match *self {}
    }

    pub(crate) fn named(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn source(&self) -> &Self {
        self
    }

    pub(crate) fn reader(&self) -> &[u8] {
        match *self {}
    }
}

pub(crate) struct Symbols {
    folds_generics: bool,
    known: Arc<Mutex<FxHashMap<u64, Frames>>>,
}

impl Symbols {
    pub(crate) fn new(folds_generics: bool, _folder: Option<PathBuf>, _clock: Clock) -> Self {
        Self {
            folds_generics,
            known: Arc::default(),
        }
    }

    pub(crate) fn open_program(&self, _modules: &[Module]) {}

    pub(crate) fn request(self: &Arc<Self>, _modules: &[Module], _addresses: &[u64]) {}

    pub(crate) fn wait(self: &Arc<Self>, _modules: &[Module], _addresses: &[u64]) {}

    pub(crate) fn names(&self, _modules: &[Module]) -> Names {
        Names {
            folds_generics: self.folds_generics,
            known: Arc::clone(&self.known),
        }
    }

    /// Returns immediately: there are no indices to wait for.
    pub(crate) fn wait_until(&self, _until: std::time::Duration) {}

    pub(crate) fn ready(&self) -> Vec<Arc<Index>> {
        Vec::new()
    }
}

/// The names of a list of modules.
pub(crate) struct Names {
    pub(crate) folds_generics: bool,
    known: Arc<Mutex<FxHashMap<u64, Frames>>>,
}

impl Names {
    /// There are no placeholders: names are known at once or never.
    pub(crate) fn without_placeholders(self) -> Self {
        self
    }

    pub(crate) fn placeholder(&self, _module: &Module, _address: u64) -> Option<String> {
        None
    }

    /// System calls are not recognized on this system.
    pub(crate) fn system_call(
        &self,
        _modules: &[Module],
        _leaf_to_root: impl IntoIterator<Item = u64>,
    ) -> Option<&'static str> {
        None
    }

    /// Stacks of the kernel are not recorded on this system.
    pub(crate) fn kernel_function(&self, _address: u64) -> Option<&str> {
        None
    }

    /// Passes the frames of an address to `each`, the innermost first: function, source file, and line.
    pub(crate) fn frames(
        &self,
        _module: usize,
        address: u64,
        mut each: impl FnMut(&str, &str, u32),
    ) {
        let frames = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= ADDRESSES_MAX {
                known.clear();
            }
            Arc::clone(known.entry(address).or_insert_with(|| resolve(address)))
        };
        for (function, file, line) in frames.iter() {
            each(function, file, *line);
        }
    }
}

fn resolve(address: u64) -> Frames {
    let mut frames = Vec::new();
    backtrace::resolve(address as *mut std::ffi::c_void, |symbol| {
        let name = symbol.name().map(|name| format!("{name:#}"));
        let file = symbol.filename().map(|file| file.display().to_string());
        let line = symbol.lineno().unwrap_or(0);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            frames.push((name, file.unwrap_or_default(), line));
        }
    });
    frames.into()
}
