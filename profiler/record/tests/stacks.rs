//! Stacks of a C program without frame pointers, in a C library without them.

use davy_profile::{FlameTree, flame::Grain, folded};
use davy_record::{CallGraph, Error, Options, Recorder, Recording, Target};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, built as distributions build theirs.
fn built(folder: &Path, arguments: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/libc.c");
    let program = folder.join("program");
    let built = Command::new("cc")
        .args(["-O2", "-fomit-frame-pointer", "-pthread"])
        .args(arguments)
        .arg("-o")
        .arg(&program)
        .arg(source)
        .status();
    assert!(built.expect("cc can be run").success());
    program
}

/// A recording of it to its end; none where the kernel forbids it.
fn recorded(program: &Path, options: Options) -> Option<Recording> {
    let mut recorder = match Recorder::start(Target::NextChild, options) {
        Err(Error::Forbidden { .. }) => return None,
        recorder => recorder.expect("the kernel allows it"),
    };
    let mut child = Command::new(program)
        .arg("0.3")
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    recorder.record_while(|_| child.try_wait().expect("it can be waited for").is_none());
    Some(recorder.finish())
}

/// Samples by stack, the root first.
fn stacks(recording: &Recording) -> Vec<(Vec<String>, u64)> {
    let mut tree = FlameTree::new();
    tree.add_profile(&recording.profile, 0, Grain::Function);
    let stacks = folded::encode(&tree);
    let stacks = stacks.lines().map(|line| {
        let (stack, samples) = line.rsplit_once(' ').expect("a stack and its samples");
        let frames = stack.split(';').map(str::to_owned).collect();
        (frames, samples.parse().expect("a number"))
    });
    stacks.collect()
}

/// The share of samples whose stack has these functions, from the root to the leaf; the first is the
/// root itself.
fn share(recording: &Recording, functions: &[&str]) -> f64 {
    let is_whole = |stack: &[String]| {
        let mut frames = stack.iter();
        stack.first().is_some_and(|root| root == functions[0])
            && functions.iter().all(|name| frames.any(|frame| frame == name))
    };
    let stacks = stacks(recording);
    let whole = stacks.iter().filter(|(stack, _)| is_whole(stack));
    whole.map(|(_, samples)| samples).sum::<u64>() as f64 / recording.samples as f64
}

fn options(call_graph: CallGraph) -> Options {
    Options {
        hz: 997,
        call_graph,
        ..Options::default()
    }
}

const WORK: [&str; 4] = ["sorts", "copies", "prints", "allocates"];

#[test]
fn stacks_through_the_c_library_are_whole_without_frame_pointers() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = built(folder.path(), &[]);
    let mut found = Vec::new();
    for call_graph in [CallGraph::Fp, CallGraph::Dwarf, CallGraph::Auto] {
        let Some(recording) = recorded(&program, options(call_graph)) else {
            return;
        };
        assert!(recording.samples > 300, "{} samples", recording.samples);
        assert_eq!(recording.call_graph, call_graph);
        let whole = share(&recording, &["_start", "main", "turns"]);
        let of_work = WORK.map(|work| share(&recording, &["_start", "main", "turns", work]));
        println!("{call_graph:?}: {whole:.3} whole, {of_work:.3?} {WORK:?}, {} cut", recording.cut);
        found.push((whole, of_work));
    }
    assert!(found[0].0 < 0.5, "by frame pointers: {:.3}", found[0].0);
    for (whole, of_work) in &found[1..] {
        assert!(*whole > 0.98, "by tables: {whole:.3}");
        for (work, share) in WORK.iter().zip(of_work) {
            assert!(*share > 0.1, "{work}: {share:.3}");
        }
    }
}
