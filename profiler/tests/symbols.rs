//! Names: windows do not wait for them, and the symbols of each build are built once and uploaded once.

mod archiver;
mod work;

use archiver::{Archiver, Push, Upload};
use davy_profile::symbol_index::SymbolIndex;
use davy_profiler::{Builder, Profiler};
use std::path::Path;
use std::time::Duration;
use work::{burn, stack, turn};

davy_profiler::use_jemalloc!();

fn start(archiver: &Archiver, folder: &Path) -> Profiler {
    Builder::new("symbols")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .symbols(folder)
        .start()
        .expect("profiler started")
}

fn has_name(push: &Push, name: &str) -> bool {
    let mut samples = 0..push.profile.sample_count();
    samples.any(|sample| {
        stack(&push.profile, sample)
            .iter()
            .any(|n| n.contains(name))
    })
}

/// Whether an uploaded index names an address of a window that has none.
fn names_an_address(push: &Push, uploads: &[Upload], expected: &str) -> bool {
    let profile = &push.profile;
    profile.locations.iter().any(|location| {
        let Some(mapping) = location.mapping else {
            return false;
        };
        let mapping = &profile.mappings[mapping as usize];
        let build_id = profile.text(mapping.build_id);
        let Some(upload) = uploads.iter().find(|upload| upload.build_id == build_id) else {
            return false;
        };
        let index = SymbolIndex::open(upload.index.as_slice()).expect("an index");
        assert_eq!(index.build_id(), build_id);
        let offset = location.address - mapping.start + mapping.file_offset;
        let found = index.find(offset).unwrap_or_default();
        let mut frames = found.frames.iter();
        profile.lines_of(location).is_empty()
            && frames.any(|frame| index.text(frame.function).contains(expected))
    })
}

#[test]
fn windows_do_not_wait_for_names_and_each_build_is_uploaded_once() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let archiver = Archiver::start();
    let profiler = start(&archiver, folder.path());
    let (mut unnamed, mut named) = (Vec::new(), false);
    // The first windows leave before the child has built the index of this program.
    while !named
        || !unnamed
            .iter()
            .any(|push| names_an_address(push, &archiver.uploads(), "burn"))
    {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            if push.label("__name__") == "process_cpu" {
                let has_name = has_name(&push, "burn");
                assert!(
                    !unnamed.is_empty() || !has_name,
                    "the first window has no names"
                );
                named |= has_name;
                unnamed.push(push);
            }
        }
    }
    let children = profiler.handle().stats().symbol_children;
    let seconds = profiler.handle().stats().symbol_children_seconds;
    assert!(
        children > 0 && seconds > 0.0,
        "{children} children, {seconds} s"
    );
    profiler
        .shutdown(Duration::from_secs(5))
        .expect("delivered");
    let uploads: Vec<String> = archiver
        .uploads()
        .into_iter()
        .map(|upload| upload.build_id)
        .collect();

    // The next process of the same build, which here is the same one, has names from its first window on.
    let profiler = start(&archiver, folder.path());
    let mut windows = 0;
    while windows < 5 {
        burn(Duration::from_millis(50));
        for push in archiver.all() {
            if push.label("__name__") == "process_cpu" {
                assert!(has_name(&push, "burn"));
                windows += 1;
            }
        }
    }
    assert_eq!(profiler.handle().stats().symbol_children, children);
    profiler
        .shutdown(Duration::from_secs(5))
        .expect("delivered");
    let after: Vec<String> = archiver
        .uploads()
        .into_iter()
        .map(|upload| upload.build_id)
        .collect();
    assert_eq!(after[..uploads.len()], uploads);
    let mut unique = after.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(
        unique.len(),
        after.len(),
        "a build is uploaded once: {after:?}"
    );
}

#[test]
fn process_that_ends_before_its_index_is_built_uploads_it_during_shutdown() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let archiver = Archiver::start();
    let profiler = start(&archiver, folder.path());
    burn(Duration::from_millis(200));
    profiler
        .shutdown(Duration::from_mins(1))
        .expect("delivered");
    let (pushes, uploads) = (archiver.all(), archiver.uploads());
    let cpu = pushes
        .iter()
        .find(|push| push.label("__name__") == "process_cpu");
    let cpu = cpu.expect("a window");
    assert!(!has_name(cpu, "burn"), "the window did not wait for names");
    assert!(names_an_address(cpu, &uploads, "burn"));
}

#[test]
fn index_is_kept_in_memory_if_the_folder_cannot_be_written() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = start(&archiver, Path::new("/proc/davy-symbols"));
    loop {
        burn(Duration::from_millis(50));
        let pushes = archiver.all();
        if pushes.iter().any(|push| has_name(push, "burn")) {
            break;
        }
    }
    profiler
        .shutdown(Duration::from_secs(5))
        .expect("delivered");
}

#[test]
fn requested_profile_waits_for_names() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let profiler = Builder::new("symbols")
        .symbols(folder.path())
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let profile = std::thread::scope(|scope| {
        let taken = scope.spawn(|| {
            handle.cpu_profile(
                Duration::from_millis(500),
                &davy_profiler::Filter::default(),
            )
        });
        burn(Duration::from_secs(1));
        taken.join().expect("no panic").expect("a profile")
    });
    let mut samples = 0..profile.sample_count();
    assert!(samples.any(|sample| {
        stack(&profile, sample)
            .iter()
            .any(|name| name.contains("burn"))
    }));
}

#[test]
fn stacks_of_allocations_end_at_the_program_even_without_names() {
    #[inline(never)]
    fn keep(blocks: &mut Vec<Vec<u8>>) {
        for _ in 0..64 {
            blocks.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    }
    let _turn = turn();
    let archiver = Archiver::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut blocks = Vec::new();
    let profiler = start(&archiver, folder.path());
    keep(&mut blocks);
    let push = archiver.next_of("memory");
    profiler
        .shutdown(Duration::from_secs(5))
        .expect("delivered");
    let own = std::env::current_exe().expect("this test has a path");
    let mut index = Vec::new();
    davy_profiler::build_symbol_index(&own, &mut index).expect("an ELF file");
    let index = SymbolIndex::open(index).expect("an index");
    let profile = &push.profile;
    let mut leaves = Vec::new();
    for sample in 0..profile.sample_count() {
        let stack = profile.samples.stacks[sample];
        let Some(leaf) = profile.stacks.leaf_to_root(stack).next() else {
            continue;
        };
        let location = &profile.locations[leaf as usize];
        assert!(
            profile.lines_of(location).is_empty(),
            "the window has no names"
        );
        let Some(mapping) = location.mapping else {
            continue;
        };
        let mapping = &profile.mappings[mapping as usize];
        let offset = location.address - mapping.start + mapping.file_offset;
        let frames = index.find(offset).unwrap_or_default().frames;
        leaves.extend(
            frames
                .first()
                .map(|frame| index.text(frame.function).to_owned()),
        );
    }
    let is_allocator = |name: &&String| {
        ["_rjem_", "prof_", "davy_profiler::heap"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    assert_eq!(leaves.iter().find(is_allocator), None, "{leaves:#?}");
    assert!(!leaves.is_empty());
    // The archive leaves out the rest once it has the names.
    assert!(
        profile
            .text(profile.drop_frames)
            .contains("alloc::alloc::.*")
    );
}
