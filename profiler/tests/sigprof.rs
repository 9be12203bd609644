//! In a test binary of its own, because it takes SIGPROF for the life of the process.

use davy_profiler::{Builder, Error};

extern "C" fn application_handler(_signal: libc::c_int) {}

#[test]
fn start_fails_if_the_application_handles_sigprof_and_keeps_its_handler() {
    // SAFETY: installs a handler that does nothing.
    unsafe { libc::signal(libc::SIGPROF, application_handler as *const () as usize) };
    let error = Builder::new("taken").start().expect_err("SIGPROF is taken");
    assert!(matches!(error, Error::SignalTaken), "{error}");
    assert!(error.to_string().contains("SIGPROF"));
    // SAFETY: reads what is installed.
    let now = unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut now);
        now.sa_sigaction
    };
    assert_eq!(now, application_handler as *const () as usize);
}
