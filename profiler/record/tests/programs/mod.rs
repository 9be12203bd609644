//! C programs to record, and evaluation of their recordings.

use davy_profile::{FlameTree, flame::Grain, folded};
use davy_record::{Error, RecordOptions, Recorder, Recording, Target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one of the programs, with the flags of Linux distributions and `arguments`.
pub(crate) fn built(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let program = folder.join(name);
    let built = Command::new("cc")
        .args(["-O2", "-fomit-frame-pointer", "-pthread"])
        .args(arguments)
        .arg("-o")
        .arg(&program)
        .arg(programs.join(format!("{name}.c")))
        .status();
    assert!(built.expect("run cc").success());
    program
}

/// Starts a recording. Where the kernel forbids it, reports the test as skipped and returns `None`.
pub(crate) fn recorder(target: Target, options: RecordOptions) -> Option<Recorder> {
    match Recorder::start(target, options) {
        Err(error @ Error::Forbidden { .. }) => {
            davy_test_support::skip(&error.to_string());
            None
        }
        recorder => Some(recorder.expect("start a recording")),
    }
}

/// The share of samples whose stack contains these functions in this order. A first function with a
/// leading `/` must be the root.
pub(crate) fn share(recording: &Recording, functions: &[&str]) -> f64 {
    let mut tree = FlameTree::new();
    // Sample type 0 is the number of samples.
    tree.add_profile(&recording.profile, 0, Grain::Function);
    let mut whole = 0;
    for line in folded::encode(&tree).lines() {
        let (stack, samples) = line.rsplit_once(' ').expect("a stack and its samples");
        // Marks the root: no frame name begins with a slash.
        let stack = format!("/{stack}");
        let mut frames = stack.split(';');
        if functions
            .iter()
            .all(|name| frames.any(|frame| frame == *name))
        {
            whole += samples.parse::<u64>().expect("a number");
        }
    }
    whole as f64 / recording.samples as f64
}
