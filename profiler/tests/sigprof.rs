//! Alone in its process, because it takes SIGPROF away for good.

use davy_profiler::{Builder, Error};

extern "C" fn of_the_application(_signal: libc::c_int) {}

#[test]
fn an_application_that_owns_sigprof_is_left_alone_with_a_clear_error() {
    // SAFETY: installs a handler that does nothing.
    unsafe { libc::signal(libc::SIGPROF, of_the_application as *const () as usize) };
    let error = Builder::new("taken")
        .start()
        .expect_err("two owners can't share a signal");
    assert!(matches!(error, Error::SignalTaken), "{error}");
    assert!(error.to_string().contains("SIGPROF"));
    // SAFETY: reads what is installed.
    let now = unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut now);
        now.sa_sigaction
    };
    assert_eq!(now, of_the_application as *const () as usize);
}
