//! Stacks of C programs, and of a C library, without frame pointers.

#[path = "programs/mod.rs"]
mod programs;

use davy_record::{CallGraph, RecordOptions, Recording, Target};
use programs::{built, recorder, share};
use std::path::Path;
use std::process::{Command, Stdio};

/// Records a program until it exits; also returns its pid.
fn recorded(program: &Path, options: RecordOptions) -> Option<(Recording, u32)> {
    let mut recorder = recorder(Target::NextChild, options)?;
    let mut child = Command::new(program)
        .arg("0.3")
        .stdout(Stdio::null())
        .spawn()
        .expect("start the program");
    recorder.record_while(|_| child.try_wait().expect("wait for the program").is_none());
    Some((recorder.finish(), child.id()))
}

fn options(call_graph: CallGraph) -> RecordOptions {
    RecordOptions {
        hz: 997,
        call_graph,
        ..RecordOptions::default()
    }
}

const WORK: [&str; 4] = ["sorts", "copies", "prints", "allocates"];

#[test]
fn stacks_through_the_c_library_are_complete_without_frame_pointers() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "libc", &[]);
    let mut found = Vec::new();
    for call_graph in [CallGraph::Fp, CallGraph::Dwarf, CallGraph::Auto] {
        let Some((recording, _)) = recorded(&program, options(call_graph)) else {
            return;
        };
        assert!(recording.samples > 300, "{} samples", recording.samples);
        assert_eq!(recording.call_graph, call_graph);
        let complete = share(&recording, &["/_start", "main", "turns"]);
        let of_work = WORK.map(|work| share(&recording, &["/_start", "main", "turns", work]));
        println!("{call_graph:?}: {complete:.3} complete, {of_work:.3?} in {WORK:?}");
        found.push((complete, of_work));
    }
    assert!(found[0].0 < 0.5, "by frame pointers: {:.3}", found[0].0);
    for (complete, of_work) in &found[1..] {
        assert!(*complete > 0.98, "by tables: {complete:.3}");
        for (work, share) in WORK.iter().zip(of_work) {
            assert!(*share > 0.1, "{work}: {share:.3}");
        }
    }
}

#[test]
fn stack_larger_than_its_copy_continues_by_frame_pointers_or_is_marked_as_cut() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "deep", &["-fno-omit-frame-pointer"]);
    let check = |call_graph, stack_bytes| {
        let options = RecordOptions {
            stack_bytes,
            ..options(call_graph)
        };
        let (recording, _) = recorded(&program, options)?;
        let of = |functions: &[&str]| share(&recording, functions) > 0.95;
        let all = ["/_start", "main", "descends", "burns"];
        let is_short = recording.short * 2 > recording.samples;
        Some((
            of(&all),
            of(&all[1..]),
            of(&["/(stack truncated)"]),
            is_short,
        ))
    };
    let (is_whole, has_main, is_cut, is_short) = (true, true, true, true);
    if let Some(found) = check(CallGraph::Dwarf, 16 << 10) {
        assert_eq!(found, (!is_whole, !has_main, is_cut, is_short));
    }
    if let Some(found) = check(CallGraph::Dwarf, 60 << 10) {
        assert_eq!(found, (is_whole, has_main, !is_cut, !is_short));
    }
    // Whether the chain continues beyond main depends on how the C library was built.
    if let Some((_, found, ..)) = check(CallGraph::Auto, 16 << 10) {
        assert_eq!(found, has_main);
    }
}

#[test]
fn code_generated_at_run_time_has_callers_and_the_name_from_its_perf_map() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "made", &[]);
    let Some((recording, pid)) = recorded(&program, options(CallGraph::Auto)) else {
        return;
    };
    std::fs::remove_file(format!("/tmp/perf-{pid}.map")).expect("the program wrote a perf map");
    let stack = ["/_start", "main", "calls", "counts_down_made_at_run_time"];
    let whole = share(&recording, &stack);
    assert!(whole > 0.9, "{whole:.3}");
}

#[test]
fn stack_without_unwind_table_at_its_root_ends_at_a_null_frame_pointer() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "bare", &["-static", "-nostdlib"]);
    let Some((recording, _)) = recorded(&program, options(CallGraph::Dwarf)) else {
        return;
    };
    let whole = share(&recording, &["/_start", "begins", "burns"]);
    assert!(whole > 0.95, "{whole:.3}");
}
