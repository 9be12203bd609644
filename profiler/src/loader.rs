//! The dynamic loader's list of files.

use crate::modules::Module;
use std::ffi::{CStr, OsStr};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that changes whenever a library is loaded or unloaded.
pub(crate) fn generation() -> u64 {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        out: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and `out` is the number below.
        unsafe { *out.cast::<u64>() = (*info).dlpi_adds + (*info).dlpi_subs };
        1
    }
    let mut generation = 0u64;
    // SAFETY: the callback only reads the description and writes the number.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut generation).cast()) };
    generation
}

/// Every loaded file, sorted by address.
///
/// Pins each library in memory: an unwinder may read its tables at any instant, so it must not be
/// unloaded.
pub(crate) fn list() -> Vec<Module> {
    let mut modules = loaded();
    for module in &modules {
        if !module.is_executable && !module.is_vdso {
            pin(module);
        }
    }
    // A library may have been unloaded, or loaded again elsewhere, before it was pinned. Only those that
    // are still at the same address are read later.
    let pinned = loaded();
    for module in &mut modules {
        let is_same = |other: &Module| other.bias == module.bias && other.name == module.name;
        if !pinned.iter().any(is_same) {
            module.unwind = None;
            module.readable.clear();
        }
    }
    modules.sort_by_key(|module| module.range.start);
    modules
}

/// Whether an address is in the program's own executable, not in a library.
pub(crate) fn is_in_executable(address: u64) -> bool {
    let modules = loaded();
    let own = modules.iter().find(|module| module.is_executable);
    own.is_some_and(|module| module.range.contains(&address))
}

/// Every loaded file, the executable first.
fn loaded() -> Vec<Module> {
    unsafe extern "C" fn each(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        out: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and `out` is the vector below.
        let (info, modules) = unsafe { (&*info, &mut *out.cast::<Vec<Module>>()) };
        modules.extend(module(info, modules.is_empty()));
        0
    }
    let mut modules: Vec<Module> = Vec::new();
    // SAFETY: the callback receives the vector, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut modules).cast()) };
    modules
}

/// Keeps a library in memory for the life of the process, if it is still loaded.
fn pin(module: &Module) {
    let Ok(name) = std::ffi::CString::new(module.path.as_os_str().as_bytes()) else {
        return;
    };
    let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    // SAFETY: only marks a library that is already loaded; the handle is closed again.
    unsafe {
        let handle = libc::dlopen(name.as_ptr(), flags);
        if !handle.is_null() {
            libc::dlclose(handle);
        }
    }
}

fn module(info: &libc::dl_phdr_info, is_executable: bool) -> Option<Module> {
    // SAFETY: the loader gives this many program headers at this address.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
    let bias = info.dlpi_addr;
    let span = |header: &libc::Elf64_Phdr| {
        let start = bias.wrapping_add(header.p_vaddr);
        start..start + header.p_memsz
    };
    let loads = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    let code = loads().find(|header| header.p_flags & libc::PF_X != 0)?;
    let range = loads().map(|l| span(l).start).min()?..loads().map(|l| span(l).end).max()?;
    let name = if info.dlpi_name.is_null() {
        &[]
    } else {
        // SAFETY: the loader's names end with a zero byte.
        unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()
    };
    let (path, name) = if is_executable {
        let shown = std::env::current_exe().unwrap_or_default();
        let path = format!("/proc/{}/exe", std::process::id());
        (PathBuf::from(path), shown.to_string_lossy().into_owned())
    } else {
        let path = PathBuf::from(OsStr::from_bytes(name));
        (path, String::from_utf8_lossy(name).into_owned())
    };
    let unwind = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME)
        .map(span)
        .and_then(|header| {
            let frame = eh_frame_start(&header)?;
            let holder = loads().map(span).find(|load| load.contains(&frame))?;
            Some((header, frame..holder.end))
        });
    let notes = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE);
    let build_id = notes
        .map(span)
        .find_map(|note| build_id(&note))
        .unwrap_or_default();
    let is_readable = |load: &&libc::Elf64_Phdr| load.p_flags & libc::PF_R != 0;
    Some(Module {
        readable: loads().filter(is_readable).map(span).collect(),
        is_executable,
        is_vdso: name.starts_with("linux-vdso"),
        path,
        name,
        bias,
        range,
        text: span(code),
        text_offset: code.p_offset,
        build_id,
        unwind,
    })
}

/// The bytes of a part of a loaded file.
pub(crate) fn bytes(range: &Range<u64>) -> &'static [u8] {
    let length = (range.end - range.start) as usize;
    // SAFETY: only called with ranges of readable segments of files that stay loaded: the
    // executable, the vdso, and libraries that were pinned.
    unsafe { std::slice::from_raw_parts(range.start as *const u8, length) }
}

/// The bytes of a part of a module. None if it is not within a segment that stays mapped and is readable; code may be
/// executable only.
pub(crate) fn readable(module: &Module, range: &Range<u64>) -> Option<&'static [u8]> {
    let is_inside = |outer: &Range<u64>| outer.start <= range.start && range.end <= outer.end;
    let is_readable = range.start <= range.end && module.readable.iter().any(is_inside);
    is_readable.then(|| bytes(range))
}

/// The aligned word at an address of a module, on the conditions of [`readable`].
pub(crate) fn readable_word(module: &Module, address: u64) -> Option<u64> {
    let range = address..address.checked_add(8)?;
    let is_inside = |outer: &Range<u64>| outer.start <= range.start && range.end <= outer.end;
    let is_readable = address.is_multiple_of(8) && module.readable.iter().any(is_inside);
    is_readable.then(|| {
        // SAFETY: aligned, mapped and readable. The loader may be writing the word.
        unsafe { (*(address as *const AtomicU64)).load(Ordering::Relaxed) }
    })
}

/// The start of `.eh_frame`, read from `.eh_frame_hdr`. Format: Linux Standard Base Core 5.0,
/// section 10.6.2. Only the encoding that linkers write is supported.
fn eh_frame_start(header: &Range<u64>) -> Option<u64> {
    const PC_RELATIVE_I32: u8 = 0x1b;
    let bytes = bytes(header);
    let offset: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    (bytes[0] == 1 && bytes[1] == PC_RELATIVE_I32)
        .then(|| (header.start + 4).wrapping_add_signed(i64::from(i32::from_le_bytes(offset))))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.collect()
}

/// The build id among the notes of a segment. A note consists of the sizes of name and description, its
/// type, the name and the description, each padded to four bytes.
fn build_id(notes: &Range<u64>) -> Option<String> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let mut rest = bytes(notes);
    loop {
        let word = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let (name_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let begin = 12 + name_len.next_multiple_of(4);
        let description = rest.get(begin..begin.checked_add(len)?)?;
        if kind == NT_GNU_BUILD_ID && rest.get(12..16) == Some(b"GNU\0") {
            return Some(hex(description));
        }
        rest = rest.get(begin + len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::containing;

    #[test]
    fn list_finds_the_executable_with_unwind_tables_and_libc_with_a_build_id() {
        let modules = list();
        let address = list as *const () as u64;
        let module = &modules[containing(&modules, address).expect("the executable is listed")];
        assert!(module.is_executable && is_in_executable(address));
        assert!(module.text.contains(&address) && module.unwind.is_some());
        assert!(std::fs::metadata(&module.path).is_ok());
        assert!(
            modules
                .iter()
                .any(|m| m.name.contains("libc") && !m.build_id.is_empty())
        );
        assert_eq!(containing(&modules, 1), None);
    }
}
