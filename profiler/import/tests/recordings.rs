//! Recordings that other tools wrote; `data/README.md` lists them.

use davy_import::{Format, Import, Options, decode, detect};
use davy_profile::{Limits, gzip};

/// Decodes a recording that is in the format.
fn import(bytes: &[u8], expected: Format, labels: &[u8]) -> Import {
    let bytes = gzip::unpack(bytes, &Limits::default()).expect("valid gzip");
    let format = detect(&bytes).expect("known format");
    assert_eq!(format, expected);
    let options = Options {
        labels,
        ..Options::default()
    };
    decode(&bytes, format, &options).expect("valid recording")
}

/// The types of all profiles with their totals.
fn totals(import: &Import) -> String {
    let mut out = String::new();
    for named in &import.profiles {
        let profile = &named.profile;
        for (index, value_type) in profile.sample_types.iter().enumerate() {
            let total: i64 = (0..profile.sample_count())
                .map(|sample| profile.values(sample)[index])
                .sum();
            let (kind, unit) = (profile.text(value_type.kind), profile.text(value_type.unit));
            out.push_str(&format!("{}:{kind}:{unit} {total}\n", named.name));
        }
    }
    out
}

/// Whether a profile has a stack that ends with frames, from caller to leaf.
fn has_stack(import: &Import, profile: usize, frames: &[&str]) -> bool {
    let profile = &import.profiles[profile].profile;
    let name = |location: u32| {
        let line = profile.lines_of(&profile.locations[location as usize])[0];
        profile.text(profile.functions[line.function as usize].name)
    };
    profile.samples.stacks.iter().any(|stack| {
        let leaf_to_root = profile.stacks.leaf_to_root(*stack).map(name);
        let mut wanted = frames.iter().rev();
        leaf_to_root
            .take(frames.len())
            .all(|frame| wanted.next() == Some(&frame))
    })
}

#[test]
fn upload_of_the_java_agent_has_profiles_and_labels() {
    let labels = include_bytes!("data/agent.labels.gz");
    let import = import(include_bytes!("data/agent.jfr.gz"), Format::Jfr, labels);
    assert_eq!(
        totals(&import),
        "process_cpu:cpu:nanoseconds 1470000000\n\
         memory:alloc_in_new_tlab_objects:count 2426\n\
         memory:alloc_in_new_tlab_bytes:bytes 242638816\n"
    );
    assert!(has_stack(&import, 0, &["Labelled.fib", "Labelled.fib"]));
    let profile = &import.profiles[0].profile;
    let labelled: i64 = (0..profile.sample_count())
        .filter(|sample| profile.label(*sample, "endpoint") == "/pay")
        .map(|sample| profile.values(sample)[0])
        .sum();
    // The program spins for 200 of 300 ms with the label.
    assert!(
        (800_000_000..1_200_000_000).contains(&labelled),
        "{labelled}"
    );
    assert!(import.profiles[0].profile.time_nanos > 0);
}

#[test]
fn recording_of_the_jdk_has_the_events_that_the_jdk_counts() {
    // `jfr summary` counts 304, 122, 2 and 145 events; a sample stands for 10 ms.
    let import = import(include_bytes!("data/jdk.jfr.gz"), Format::Jfr, &[]);
    assert_eq!(
        totals(&import),
        "memory:alloc_sample_objects:count 304\nmemory:alloc_sample_bytes:bytes 173358576\n\
         block:contentions:count 122\nblock:delay:nanoseconds 3124889261\n\
         mutex:contentions:count 2\nmutex:delay:nanoseconds 23047617\n\
         process_cpu:cpu:nanoseconds 1450000000\n"
    );
    let park = [
        "java/util/concurrent/locks/LockSupport.parkNanos",
        "jdk/internal/misc/Unsafe.park",
    ];
    assert!(has_stack(&import, 1, &park));
}

#[test]
fn cpu_and_wall_samples_of_async_profiler_are_separate() {
    let import = import(
        include_bytes!("data/async-profiler.jfr.gz"),
        Format::Jfr,
        &[],
    );
    assert_eq!(
        totals(&import),
        "wall:wall:nanoseconds 46940000000\nprocess_cpu:cpu:nanoseconds 2030000000\n"
    );
    assert!(
        has_stack(&import, 1, &["Busy.compute", "Busy.fib"])
            || has_stack(&import, 1, &["Busy.lambda$main$0", "Busy.contend"])
    );
    assert!(has_stack(
        &import,
        0,
        &[
            "java/lang/Object.wait",
            "libc.so.6.__futex_abstimed_wait_common"
        ]
    ));
}

#[test]
fn profiles_of_node_have_time_and_bytes() {
    let cpu = import(
        include_bytes!("data/node.cpuprofile"),
        Format::CpuProfile,
        &[],
    );
    assert_eq!(
        totals(&cpu),
        "process_cpu:samples:count 146\nprocess_cpu:cpu:nanoseconds 201473000\n\
         wall:samples:count 1319\nwall:wall:nanoseconds 1530218000\n"
    );
    assert!(has_stack(&cpu, 0, &["listOnTimeout", "loop"]));
    let heap = import(
        include_bytes!("data/node.heapprofile"),
        Format::HeapProfile,
        &[],
    );
    assert_eq!(totals(&heap), "memory:inuse_space:bytes 200584\n");
}

#[test]
fn output_of_perf_script_has_time() {
    let import = import(
        include_bytes!("data/perf-script.txt"),
        Format::PerfScript,
        &[],
    );
    assert_eq!(
        totals(&import),
        "process_cpu:samples:count 13\nprocess_cpu:cpu:nanoseconds 65000000\n"
    );
    assert!(
        has_stack(
            &import,
            0,
            &["busy", "__libc_start_call_main", "main", "fib"]
        ) || has_stack(&import, 0, &["fib", "fib"])
    );
    assert_eq!(import.skipped.count, 0);
}

#[test]
fn output_of_austin_has_time_and_memory() {
    let wall = import(include_bytes!("data/austin-wall.txt"), Format::Folded, &[]);
    assert_eq!(totals(&wall), "wall:wall:nanoseconds 24780000\n");
    assert_eq!(wall.profiles[0].profile.duration_nanos, 1_566_579_000);
    assert!(has_stack(
        &wall,
        0,
        &[
            "/srv/busy.py:work:8",
            "/srv/busy.py:inner:3",
            "<string>:<module>:1"
        ]
    ));
    let full = import(include_bytes!("data/austin-full.txt"), Format::Folded, &[]);
    assert_eq!(
        totals(&full),
        "process_cpu:cpu:nanoseconds 17556000\nwall:wall:nanoseconds 17556000\nmemory:alloc_space:bytes 1167360\n"
    );
}

#[test]
fn output_of_py_spy_has_time() {
    let import = import(
        include_bytes!("data/py-spy.speedscope.json"),
        Format::Speedscope,
        &[],
    );
    assert_eq!(totals(&import), "wall:wall:nanoseconds 1830000000\n");
    assert!(has_stack(&import, 0, &["work", "inner"]));
}
