//! Cost of a recording: CPU time of the recorder, and of `perf record` for comparison, while two threads
//! use the C library.

#[path = "../tests/programs/mod.rs"]
mod programs;

use davy_base::Clock;
use davy_record::{CallGraph, RecordOptions, Target};
use programs::{built, recorder, share};
use std::mem::MaybeUninit;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(10);
const HZ: u32 = 100;

fn main() {
    let folder = tempfile::tempdir().expect("create a folder");
    let program = built(folder.path(), "libc", &[]);
    // Runs longer than the span, so that every kind of work is sampled.
    let start = || {
        let mut command = Command::new(&program);
        command.args(["3", "1"]).spawn().expect("start the program")
    };
    let variants = [
        ("fp", CallGraph::Fp, 16 << 10),
        ("auto, 16 KiB", CallGraph::Auto, 16 << 10),
        ("auto, 32 KiB", CallGraph::Auto, 32 << 10),
        ("auto, 63 KiB", CallGraph::Auto, 63 << 10),
    ];
    println!(
        "| {HZ} Hz, 2 busy threads, {SPAN:?} | CPU | symbolization | samples | complete stacks |"
    );
    println!("|---|---|---|---|---|");
    for (name, call_graph, stack_bytes) in variants {
        let mut child = start();
        let options = RecordOptions {
            hz: HZ,
            call_graph,
            stack_bytes,
            ..RecordOptions::default()
        };
        let Some(mut recorder) = recorder(Target::Pid(child.id()), options) else {
            end(&mut child);
            return;
        };
        let before = cpu(libc::RUSAGE_SELF);
        recorder.record_for(SPAN);
        let recorded = cpu(libc::RUSAGE_SELF);
        let recording = recorder.finish();
        let named = cpu(libc::RUSAGE_SELF);
        end(&mut child);
        println!(
            "| {name} | {:.2} % | {:.0} ms | {} | {:.1} % |",
            (recorded - before) / SPAN.as_secs_f64() * 100.0,
            (named - recorded) * 1e3,
            recording.samples,
            100.0 * (share(&recording, &["/_start"]) + share(&recording, &["/clone3"])),
        );
    }
    for mode in ["fp", "dwarf,16384"] {
        let mut child = start();
        let before = cpu(libc::RUSAGE_CHILDREN);
        let data = folder.path().join("perf.data");
        let mut perf = Command::new("perf");
        perf.args(["record", "-q", "-F", &HZ.to_string(), "--call-graph", mode])
            .args(["-e", "cpu-clock:u", "-p", &child.id().to_string(), "-o"])
            .arg(&data)
            .args(["--", "sleep", &SPAN.as_secs().to_string()])
            .stderr(Stdio::null());
        let clock = Clock::system();
        let began = clock.monotonic();
        let has_perf = perf.status().is_ok_and(|status| status.success());
        let spent = cpu(libc::RUSAGE_CHILDREN) - before;
        let span = clock.monotonic().saturating_sub(began).as_secs_f64();
        end(&mut child);
        if has_perf {
            let bytes = std::fs::metadata(&data).map_or(0, |data| data.len());
            println!(
                "| perf, {mode} | {:.2} % | | {} KiB | |",
                spent / span * 100.0,
                bytes >> 10
            );
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    // Reaps the child now, so that its CPU time is not added to a later child's.
    let _ = child.wait();
}

/// CPU time in seconds.
fn cpu(of: libc::c_int) -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the structure, which outlives the call; all zeros are a valid value.
    let usage = unsafe {
        libc::getrusage(of, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
