//! What the attribute `main` makes of a program: a runtime, a profiler, and a tag for the rest.

use crate::environment::service;
use crate::{Builder, register_thread};
use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

/// How long the end of the program waits for the delivery of the last window.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// The operation of the main function.
const MAIN: &str = "main";

/// Runs a future as [`main`](macro@crate::main) does.
#[doc(hidden)]
pub fn run<F: Future>(future: F) -> F::Output {
    // First, so that accounting is complete.
    let profiler = Builder::from_env().and_then(|builder| match builder.start() {
        Ok(profiler) => Some(profiler),
        Err(error) => {
            report("profiling disabled", &error);
            None
        }
    });
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = davy_tag::attribute_parking(builder.enable_all())
        .on_thread_start(register_thread)
        .build();
    let runtime = runtime.expect("tokio's runtime cannot be built");
    let output = runtime.block_on(davy_tag::tagged(&service(), MAIN, future));
    drop(runtime);
    if let Some(Err(error)) = profiler.map(|profiler| profiler.shutdown(SHUTDOWN)) {
        report("profiles not delivered", &error);
    }
    output
}

/// Writes to standard error, because there is no subscriber for logs before `main` and after it.
fn report(what: &str, error: &crate::Error) {
    let _ = writeln!(std::io::stderr(), "davy-profiler: {what}: {error}");
}
