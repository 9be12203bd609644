//! Names of addresses, from symbol indices that are read in place.
//!
//! The index of a file is opened when a sample has an address of the file, by a background thread that exits once all
//! requested indices are open. If there is no index of this build yet, a child process builds one
//! ([`crate::symbolizer`]). Until then addresses have no names; only requested profiles and shutdown wait for them.

mod folder;

use crate::kernel_symbols::KernelSymbols;
use crate::modules::{self, Module};
use crate::symbolizer;
use crate::system_calls::SystemCalls;
use davy_base::Clock;
use davy_profile::symbol_index::placeholder;
use davy_tag::Tag;
pub(crate) use folder::Index;
use folder::{Bytes, Folder};
use rustc_hash::FxHashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a requested profile waits for names.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The symbol indices of the files of this process.
pub(crate) struct Symbols {
    /// Whether names are shown without generic arguments.
    folds_generics: bool,
    folder: Option<Folder>,
    clock: Clock,
    system_calls: Arc<SystemCalls>,
    kernel: Arc<KernelSymbols>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    files: FxHashMap<String, Entry>,
    /// Whether the thread that opens indices is running.
    is_working: bool,
}

enum Entry {
    /// Not opened yet.
    Wanted(Box<Module>),
    Ready(Arc<Index>),
    /// There is no index, and none can be built.
    Missing,
}

impl Symbols {
    /// Indices are kept in `folder`, by default one in the user's cache folder, and in memory if that is not possible.
    pub(crate) fn new(folds_generics: bool, folder: Option<PathBuf>, clock: Clock) -> Self {
        Self {
            folds_generics,
            folder: folder.or_else(folder::default_path).map(Folder::new),
            clock,
            system_calls: Arc::default(),
            kernel: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the index of the program itself, if there is one. It may be needed when there is no memory to open it.
    pub(crate) fn open_program(&self, modules: &[Module]) {
        let program = modules.iter().find(|module| module.is_executable);
        let opened = program.and_then(|program| Some((program, self.open_existing(program)?)));
        if let Some((program, index)) = opened {
            let ready = Entry::Ready(Arc::new(index));
            self.lock().files.insert(key(program).to_owned(), ready);
        }
    }

    /// Makes a thread open the indices of the files that hold these addresses, unless they are open.
    pub(crate) fn request(self: &Arc<Self>, modules: &[Module], addresses: &[u64]) {
        let mut state = self.lock();
        for module in containing(modules, addresses) {
            if !state.files.contains_key(key(module)) {
                let wanted = Entry::Wanted(Box::new(module.clone()));
                state.files.insert(key(module).to_owned(), wanted);
            }
        }
        let is_idle = !state.is_working && state.next().is_some();
        if is_idle {
            let symbols = Arc::clone(self);
            let thread = std::thread::Builder::new().name("davy-symbols".to_owned());
            // If no thread can be started, the next request tries again.
            state.is_working = thread.spawn(move || symbols.work()).is_ok();
        }
    }

    /// Like [`Symbols::request`], and waits until the names are there, for at most [`WAIT_MAX`].
    pub(crate) fn wait(self: &Arc<Self>, modules: &[Module], addresses: &[u64]) {
        self.request(modules, addresses);
        let wanted: Vec<&Module> = containing(modules, addresses).collect();
        self.wait_while(WAIT_MAX, |state| {
            let is_wanted =
                |module: &&Module| matches!(state.files.get(key(module)), Some(Entry::Wanted(_)));
            state.is_working && wanted.iter().any(is_wanted)
        });
    }

    /// Waits until the indices that were requested are open, but not longer than `until`.
    pub(crate) fn wait_until(&self, until: Duration) {
        let left = until.saturating_sub(self.clock.monotonic());
        self.wait_while(left, |state| state.is_working);
    }

    fn wait_while(&self, longest: Duration, condition: impl Fn(&State) -> bool) {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), longest, |state| condition(state));
        drop(waited);
    }

    /// The names of these modules, as far as they are there.
    pub(crate) fn names(&self, modules: &[Module]) -> Names {
        let state = self.lock();
        let index = |module: &Module| match state.files.get(key(module)) {
            Some(Entry::Ready(index)) => {
                // What is added to an address to get an offset in the file.
                let to_offset = module.text_offset.wrapping_sub(module.text.start);
                Some((to_offset, Arc::clone(index)))
            }
            _ => None,
        };
        Names {
            folds_generics: self.folds_generics,
            has_placeholders: true,
            system_calls: Arc::clone(&self.system_calls),
            kernel: Arc::clone(&self.kernel),
            indices: modules.iter().map(index).collect(),
        }
    }

    /// The open indices of files with a build id.
    pub(crate) fn ready(&self) -> Vec<Arc<Index>> {
        let state = self.lock();
        let ready = state.files.values().filter_map(|entry| match entry {
            Entry::Ready(index) if !index.build_id().is_empty() => Some(Arc::clone(index)),
            _ => None,
        });
        ready.collect()
    }

    /// The main function of the thread that opens indices.
    fn work(self: Arc<Self>) {
        let _guard = Tag::new("profiler", "symbolize").enter();
        loop {
            let module = {
                let mut state = self.lock();
                let Some(module) = state.next() else {
                    state.is_working = false;
                    self.changed.notify_all();
                    return;
                };
                module.clone()
            };
            let entry = match self.open(&module) {
                Ok(index) => Entry::Ready(Arc::new(index)),
                Err(error) => {
                    let file = &module.name;
                    tracing::debug!(%file, %error, "no names of functions");
                    Entry::Missing
                }
            };
            self.lock().files.insert(key(&module).to_owned(), entry);
            self.changed.notify_all();
        }
    }

    fn open(&self, module: &Module) -> io::Result<Index> {
        if module.is_vdso {
            let bytes = crate::loader::bytes(&module.range);
            let index = symbolizer::of_memory(bytes, &module.name)?;
            return folder::parse(Bytes::Memory(index));
        }
        if let Some(index) = self.open_existing(module) {
            return Ok(index);
        }
        let name = Path::new(&module.name).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let build = |output| symbolizer::build(&module.path, &name, output);
        if let Some(folder) = &self.folder {
            match folder.open_or_build(module, build) {
                Err(error) if error.is_of_folder => {
                    let folder = folder.path().display();
                    let error = error.source;
                    tracing::warn!(%folder, %error, "cannot keep symbol indices, using memory");
                }
                result => return result.map_err(|error| error.source),
            }
        }
        folder::build_in_memory(build)
    }

    /// The index beside the file, where a package may have put it, or in the folder.
    fn open_existing(&self, module: &Module) -> Option<Index> {
        let mut beside = PathBuf::from(&module.name).into_os_string();
        beside.push(folder::EXTENSION);
        let beside = folder::open(Path::new(&beside), &module.build_id).ok();
        beside.or_else(|| self.folder.as_ref()?.open(module))
    }
}

impl State {
    fn next(&self) -> Option<&Module> {
        self.files.values().find_map(|entry| match entry {
            Entry::Wanted(module) => Some(&**module),
            _ => None,
        })
    }
}

/// The modules that contain any of the addresses.
fn containing<'a>(
    modules: &'a [Module],
    addresses: &[u64],
) -> impl Iterator<Item = &'a Module> + use<'a> {
    let mut is_used = vec![false; modules.len()];
    for address in addresses {
        if let Some(index) = modules::containing(modules, *address) {
            is_used[index] = true;
        }
    }
    let used = modules.iter().zip(is_used);
    used.filter_map(|(module, is_used)| is_used.then_some(module))
}

/// A file is identified by its build id, or by its path if it has none.
fn key(module: &Module) -> &str {
    if module.build_id.is_empty() {
        &module.name
    } else {
        &module.build_id
    }
}

/// The names of a list of modules.
pub(crate) struct Names {
    pub(crate) folds_generics: bool,
    /// Whether functions without a name are shown by where they start.
    has_placeholders: bool,
    system_calls: Arc<SystemCalls>,
    kernel: Arc<KernelSymbols>,
    /// The index of each module that has one, and what is added to an address to get an offset in the file.
    indices: Vec<Option<(u64, Arc<Index>)>>,
}

/// An index in a file is read once per window and may be larger than all other memory of the process. That of an index in
/// memory is not given back.
impl Drop for Names {
    fn drop(&mut self) {
        for (_, index) in self.indices.iter().flatten() {
            index.source().release_pages();
        }
    }
}

impl Names {
    /// Without placeholders for functions that have no name, so that the archive can name them from a file that it gets
    /// later.
    pub(crate) fn without_placeholders(mut self) -> Self {
        self.has_placeholders = false;
        self
    }

    /// What is shown instead of a name, unless the archive may know it.
    pub(crate) fn placeholder(&self, module: &Module, address: u64) -> Option<String> {
        let is_shown = self.has_placeholders || module.build_id.is_empty();
        let file = Path::new(&module.name).file_name().unwrap_or_default();
        let in_file = address.wrapping_sub(module.bias);
        is_shown.then(|| placeholder(&file.to_string_lossy(), in_file))
    }

    /// The system call that a CPU sample was taken in, given its addresses from the leaf to the root: the name, or ""
    /// if that is not known. None if the sample is not from the kernel.
    pub(crate) fn system_call(
        &self,
        modules: &[Module],
        leaf_to_root: impl IntoIterator<Item = u64>,
    ) -> Option<&'static str> {
        self.system_calls.of_stack(modules, leaf_to_root)
    }

    /// The name of the function of the kernel at an address, if it is known.
    pub(crate) fn kernel_function(&self, address: u64) -> Option<&str> {
        self.kernel.function(address)
    }

    /// Passes the frames of an address to `each`, the innermost first: function, source file, and line.
    pub(crate) fn frames(
        &self,
        module: usize,
        address: u64,
        mut each: impl FnMut(&str, &str, u32),
    ) {
        let Some(Some((to_offset, index))) = self.indices.get(module) else {
            return;
        };
        let Some(found) = index.find(address.wrapping_add(*to_offset)) else {
            return;
        };
        for frame in found.frames.iter().rev() {
            let function = index.text(frame.function);
            // Without a build id, the archive cannot know which file it is.
            let is_left_out = !self.has_placeholders
                && !index.build_id().is_empty()
                && index.is_placeholder(function);
            if !function.is_empty() && !is_left_out {
                each(function, index.text(frame.file), frame.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::symbol_index::{Builder, SymbolFrame};

    fn names_of(build_id: &str) -> Names {
        let mut builder = Builder::new(build_id, "server");
        let function = builder.string("main");
        let frame = SymbolFrame {
            function,
            ..SymbolFrame::default()
        };
        builder.add(0x1000, 0x10, &[frame]);
        builder.add_unnamed(0x2000, 0x10);
        let mut bytes = Vec::new();
        builder.write(&mut bytes).expect("a vector");
        let index = folder::parse(Bytes::Memory(bytes)).expect("an index");
        Names {
            folds_generics: false,
            has_placeholders: true,
            system_calls: Arc::default(),
            kernel: Arc::default(),
            indices: vec![Some((0, Arc::new(index)))],
        }
    }

    fn shown(names: &Names) -> Vec<String> {
        let mut shown = Vec::new();
        for address in [0x1008, 0x2008] {
            names.frames(0, address, |function, _, _| shown.push(function.to_owned()));
        }
        shown
    }

    #[test]
    fn functions_without_a_name_are_left_to_the_archive_if_it_can_find_the_build() {
        let both = ["main", "server+0x2000"];
        assert_eq!(shown(&names_of("c0ffee")), both);
        assert_eq!(shown(&names_of("c0ffee").without_placeholders()), ["main"]);
        assert_eq!(shown(&names_of("").without_placeholders()), both);
    }
}
