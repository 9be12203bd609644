//! A library that a program loads, such as a plug-in. The profiler refuses to start there, because in loaded
//! code a signal handler that accesses a thread-local variable may allocate.

use std::io::Write as _;

/// Starts the profiler, and writes the result into `text`, which has space for `size` bytes. Returns the number
/// of bytes written.
///
/// # Safety
/// `text` must point to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn start_profiler(text: *mut u8, size: usize) -> usize {
    let message = match davy_profiler::Builder::new("plugin").start() {
        Ok(_profiler) => "started".to_owned(),
        Err(error) => error.to_string(),
    };
    // SAFETY: guaranteed by the caller.
    let mut text = unsafe { std::slice::from_raw_parts_mut(text, size) };
    let capacity = text.len();
    let _ = text.write_all(message.as_bytes());
    capacity - text.len()
}
