//! The profiler in a shared library that a program loads.
#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

/// Set in the process that loads the library.
const IS_HOST: &str = "DAVY_TEST_IS_HOST";

#[test]
fn start_fails_in_a_loaded_library_and_suggests_davy_record() {
    let test = std::env::current_exe().expect("an executable");
    if std::env::var_os(IS_HOST).is_none() {
        // The allocator needs static thread-local storage, which the loader reserves only at program start.
        let host = Command::new(&test)
            .env(IS_HOST, "1")
            .env("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536")
            .output()
            .expect("the host started");
        assert!(host.status.success(), "{host:?}");
        return;
    }
    let built = test.ancestors().nth(2).expect("the build folder");
    let path = built.join("examples/libplugin.so");
    let path = CString::new(path.as_os_str().as_bytes()).expect("no zero bytes");
    let mut text = [0u8; 512];
    // SAFETY: the library is the example `plugin`, whose function has this type and writes at most the given
    // number of bytes.
    let length = unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(
            !library.is_null(),
            "{path:?} is built together with the tests"
        );
        let start = libc::dlsym(library, c"start_profiler".as_ptr());
        assert!(!start.is_null());
        type Start = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let start = std::mem::transmute::<*mut libc::c_void, Start>(start);
        start(text.as_mut_ptr(), text.len())
    };
    let message = String::from_utf8_lossy(&text[..length]);
    assert!(message.contains("davy record --pid"), "{message}");
}
