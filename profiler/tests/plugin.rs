//! A library that is loaded into a program that knows nothing of it.
#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

/// Set in the program that loads the library.
const IS_HOST: &str = "DAVY_TEST_IS_HOST";

#[test]
fn in_a_library_that_a_program_loads_the_profiler_says_that_it_can_not_and_what_can() {
    let test = std::env::current_exe().expect("an executable");
    if std::env::var_os(IS_HOST).is_none() {
        // The allocator asks for thread-local memory that is there only when a program began with it.
        let host = Command::new(&test)
            .env(IS_HOST, "1")
            .env("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536")
            .output()
            .expect("it starts");
        assert!(host.status.success(), "{host:?}");
        return;
    }
    let built = test.ancestors().nth(2).expect("the folder of the build");
    let path = built.join("examples/libplugin.so");
    let path = CString::new(path.as_os_str().as_bytes()).expect("no zero bytes");
    let mut text = [0u8; 512];
    // SAFETY: the library is the example `plugin`, whose function has this type and writes no more
    // than it may.
    let length = unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null(), "{path:?} is built with the tests");
        let start = libc::dlsym(library, c"start_profiler".as_ptr());
        assert!(!start.is_null());
        type Start = unsafe extern "C" fn(*mut u8, usize) -> usize;
        let start = std::mem::transmute::<*mut libc::c_void, Start>(start);
        start(text.as_mut_ptr(), text.len())
    };
    let said = String::from_utf8_lossy(&text[..length]);
    assert!(said.contains("davy record --pid"), "{said}");
}
