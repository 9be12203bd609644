//! C programs to record, and what their recordings say.

use davy_profile::{FlameTree, flame::Grain, folded};
use davy_record::{Error, RecordOptions, Recorder, Recording, Target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of the programs here, built as distributions build theirs, and with these arguments.
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
    assert!(built.expect("cc can be run").success());
    program
}

/// A recorder; none where the kernel forbids it.
pub(crate) fn recorder(target: Target, options: RecordOptions) -> Option<Recorder> {
    match Recorder::start(target, options) {
        Err(Error::Forbidden { .. }) => None,
        recorder => Some(recorder.expect("the kernel allows it")),
    }
}

/// The share of samples whose stack has these functions in this order, the first of them anywhere or,
/// after a `/`, at the root.
pub(crate) fn share(recording: &Recording, functions: &[&str]) -> f64 {
    let mut tree = FlameTree::new();
    // The number of samples, which comes before the CPU time.
    tree.add_profile(&recording.profile, 0, Grain::Function);
    let mut whole = 0;
    for line in folded::encode(&tree).lines() {
        let (stack, samples) = line.rsplit_once(' ').expect("a stack and its samples");
        // A slash before the root only: no frame has it there.
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
