//! A library that a program loads, such as a plug-in. The profiler says there that it won't start, and
//! what to do instead: in loaded code a signal handler that looks at a thread-local may have to allocate.

use std::io::Write as _;

/// Starts the profiler; what comes of it is written into `text`, of which `size` bytes may be used.
/// Answers how many were.
///
/// # Safety
/// So many bytes may be written there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn start_profiler(text: *mut u8, size: usize) -> usize {
    let said = match davy_profiler::Builder::new("plugin").start() {
        Ok(_profiler) => "started".to_owned(),
        Err(error) => error.to_string(),
    };
    // SAFETY: as the caller promises.
    let mut text = unsafe { std::slice::from_raw_parts_mut(text, size) };
    let room = text.len();
    let _ = text.write_all(said.as_bytes());
    room - text.len()
}
