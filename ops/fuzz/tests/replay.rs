//! Every target, on its seeds, on the inputs that once broke it, and on damaged variants of them.

use davy_base::Random;
use davy_fuzz::memory::Counting;
use davy_fuzz::mutation::mutated;
use davy_fuzz::{TARGETS, Target};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The memory of all threads is counted, so the targets run one after another.
static RUNNING: Mutex<()> = Mutex::new(());

/// Bytes that a target may decode. It bounds the time of a replay in a debug build to about a second.
const BYTES: usize = 40 << 20;
/// Maximum number of mutations.
const MUTATIONS: usize = 10_000;

/// The folder of the inputs that once broke a target.
fn regressions(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("regressions")
        .join(target)
}

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    if let Ok(folder) = std::fs::read_dir(regressions(target.name)) {
        let mut files: Vec<PathBuf> = folder.map(|file| file.expect("a file").path()).collect();
        files.sort();
        inputs.extend(
            files
                .iter()
                .map(|file| std::fs::read(file).expect("a readable file")),
        );
    }
    inputs
}

/// Runs a target on one input, and writes the input to a file if it panics.
fn check(target: &Target, input: &[u8]) -> bool {
    let run = std::panic::AssertUnwindSafe(|| target.check(input));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let path = std::env::temp_dir().join(format!("davy-fuzz-{}", target.name));
        std::fs::write(&path, input).expect("the temporary folder is writable");
        eprintln!(
            "the input is in {}; copy it to {}",
            path.display(),
            regressions(target.name).display()
        );
        std::panic::resume_unwind(panic)
    })
}

/// Replays a target. `cost` is the time of an input relative to that of decoding a small one.
fn replay(name: &str, cost: usize) {
    let _alone = RUNNING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = Target::named(name).expect("a target");
    let inputs = inputs(&target);
    check(&target, b"");
    let seeds = (target.seeds)();
    // The first run also creates what later runs share.
    let accepted = seeds.iter().filter(|seed| (target.run)(seed)).count();
    assert!(
        accepted > 0 && 2 * accepted >= seeds.len(),
        "{accepted} of {} seeds are accepted",
        seeds.len()
    );
    for input in &inputs {
        check(&target, input);
    }
    // Every truncation of a small input.
    for input in inputs.iter().filter(|input| input.len() < 400) {
        for end in (0..input.len()).step_by(cost) {
            check(&target, &input[..end]);
        }
    }
    let mut random = Random::seeded(0x000d_a7a5_eed5);
    let mut left = BYTES / cost;
    for round in 0..MUTATIONS / cost {
        let input = &inputs[round % inputs.len()];
        let other = &inputs[random.below(inputs.len() as u64) as usize];
        let damaged = mutated(input, other, &mut random);
        check(&target, &damaged);
        let Some(rest) = left.checked_sub(damaged.len()) else {
            break;
        };
        left = rest;
    }
}

macro_rules! replays {
    ($($name:ident: $cost:literal,)*) => {
        /// The targets that are replayed.
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                replay(stringify!($name), $cost);
            }
        )*
    };
}

replays! {
    pprof: 1,
    folded: 1,
    lines: 1,
    tree: 1,
    trie: 1,
    speedscope: 1,
    jfr: 1,
    jfr_labels: 20,
    perf_script: 1,
    cpuprofile: 1,
    heapprofile: 1,
    detect: 1,
    gzip: 1,
    selector: 1,
    segment: 1,
    body: 5,
    push: 5,
    ingest: 5,
    query: 5,
}

#[test]
fn every_target_is_replayed_and_has_a_program() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer/src/bin");
    let mut programs: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of the programs")
        .map(|file| {
            file.expect("a file")
                .file_name()
                .to_string_lossy()
                .replace(".rs", "")
        })
        .collect();
    programs.sort();
    let mut names: Vec<&str> = names;
    names.sort_unstable();
    assert_eq!(programs, names);
}

#[test]
fn mutations_depend_on_the_seed_alone_and_change_the_input() {
    let run = |seed| {
        let mut random = Random::seeded(seed);
        let mutate = |_| mutated(b"main;work 42\n", b"other", &mut random);
        (0..1_000).map(mutate).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    let inputs = run(7);
    assert!(
        inputs
            .iter()
            .filter(|input| *input != b"main;work 42\n")
            .count()
            > 900
    );
    let longest = inputs.iter().map(Vec::len).max();
    assert!(longest < Some(400 << 10), "{longest:?}");
}
