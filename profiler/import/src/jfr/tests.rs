use super::recording::{
    CPU_TIME, EXECUTION, IN_NEW_TLAB, LIVE, MALLOC, MONITOR, OUTSIDE_TLAB, PARK, SELF, TWICE, WALL,
    chunk, event, longs, setting,
};
use crate::outline::outline;
use crate::{Format, Options, decode};
use davy_profile::gzip;
use davy_profile::wire::Writer;

fn check(input: &[u8], labels: &[u8], expected: &str) {
    let options = Options {
        labels,
        ..Options::default()
    };
    let got = decode(input, Format::Jfr, &options);
    let got = got.map_or_else(|error| error.to_string(), |import| outline(&import));
    assert_eq!(got, expected);
}

#[test]
fn event_setting_decides_what_execution_samples_measure() {
    let sample = event(EXECUTION, &longs(&[0, 1, 0, 0]));
    let stack = "java/lang/Thread.run@:7;App.work@:42";
    let recording =
        |settings: &[Vec<u8>]| chunk(&[settings, &[sample.clone(), sample.clone()]].concat());
    check(
        &recording(&[]),
        &[],
        &format!("[process_cpu cpu:nanoseconds]\n{stack} 20000000\n"),
    );
    let itimer = [setting("event", "itimer"), setting("interval", "1000000")];
    check(
        &recording(&itimer),
        &[],
        &format!("[process_cpu cpu:nanoseconds]\n{stack} 2000000\n"),
    );
    let wall = [setting("event", "wall"), setting("interval", "5000000")];
    check(
        &recording(&wall),
        &[],
        &format!(
            "[wall wall:nanoseconds]\n{stack} 10000000\n[process_cpu cpu:nanoseconds]\n{stack} 10000000\n"
        ),
    );
    check(
        &recording(&[setting("period", "20 ms")]),
        &[],
        &format!("[process_cpu cpu:nanoseconds]\n{stack} 40000000\n"),
    );
}

#[test]
fn state_of_the_thread_decides_between_cpu_and_wall() {
    let check_states = |settings: &[Vec<u8>], expected: &str| {
        let samples: Vec<_> = (1..=3)
            .map(|state| event(EXECUTION, &longs(&[0, 2, 0, state])))
            .collect();
        check(&chunk(&[settings, &samples[..]].concat()), &[], expected);
    };
    let cpu = "[process_cpu cpu:nanoseconds]\n(truncated);read";
    let wall = "[wall wall:nanoseconds]\n(truncated);read";
    check_states(&[], &format!("{cpu} 20000000\n"));
    let only_wall = [setting("event", "wall"), setting("interval", "7000000")];
    check_states(&only_wall, &format!("{wall} 21000000\n{cpu} 14000000\n"));
    let both = [setting("event", "itimer"), setting("wall", "7000000")];
    check_states(&both, &format!("{cpu} 10000000\n{wall} 14000000\n"));
}

#[test]
fn each_kind_of_event_has_its_profile() {
    let events = [
        event(WALL, &longs(&[1, 3])),
        event(IN_NEW_TLAB, &longs(&[1, 16, 4096])),
        event(OUTSIDE_TLAB, &longs(&[1, 5000])),
        event(LIVE, &longs(&[1, 16])),
        event(MALLOC, &longs(&[0, 0, 1, 0x7000, 640])),
        // 3 ticks at 2 GHz are 1.5 ns.
        event(MONITOR, &longs(&[3_000, 1])),
        event(PARK, &longs(&[4_000, 2])),
    ];
    let stack = "java/lang/Thread.run@:7;App.work@:42";
    let expected = format!(
        "[wall wall:nanoseconds]\n{stack} 150000000\n\
         [memory alloc_in_new_tlab_objects:count alloc_in_new_tlab_bytes:bytes]\n{stack} 1,4096\n\
         [memory alloc_outside_tlab_objects:count alloc_outside_tlab_bytes:bytes]\n{stack} 1,5000\n\
         [memory live:count]\n{stack} 1\n\
         [memory malloc_objects:count malloc_bytes:bytes]\n{stack} 1,640\n\
         [mutex contentions:count delay:nanoseconds]\n{stack} 1,1500\n\
         [block contentions:count delay:nanoseconds]\n(truncated);read 1,2000\n"
    );
    check(&chunk(&events), &[], &expected);
}

#[test]
fn samples_of_cpu_time_state_their_period_and_replace_estimates() {
    // 40,000,000 ticks at 2 GHz are 20 ms. The second one has no stack.
    let events = [
        event(CPU_TIME, &longs(&[0, 1, 2, 0, 40_000_000, 0])),
        event(EXECUTION, &longs(&[0, 1, 0, 0])),
        event(CPU_TIME, &longs(&[0, 0, 1, 1, 20_000_000, 0])),
        event(CPU_TIME, &longs(&[0, 1, 9, 0, 20_000_000, 0])),
    ];
    check(
        &chunk(&events),
        &[],
        "[process_cpu cpu:nanoseconds]\n\
         java/lang/Thread.run@:7;App.work@:42 20000000 thread=http-nio-1\n\
         (unknown) 10000000 thread=GC Thread#0\n\
         java/lang/Thread.run@:7;App.work@:42 10000000\n",
    );
}

#[test]
fn context_gives_labels() {
    let entry = |key: u64, value: &dyn Fn(&mut Writer)| {
        let mut entry = Writer::default();
        entry.number(1, key);
        value(&mut entry);
        entry.into_bytes()
    };
    let mut context = Writer::default();
    context.bytes(1, &entry(10, &|w| w.number(2, 11)));
    let context = context.into_bytes();
    let mut labels = Writer::default();
    labels.bytes(1, &entry(7, &|w| w.bytes(2, &context)));
    labels.bytes(2, &entry(10, &|w| w.bytes(2, b"endpoint")));
    labels.bytes(2, &entry(11, &|w| w.bytes(2, b"/pay")));
    let labels = labels.into_bytes();
    let events = [
        event(EXECUTION, &longs(&[0, 2, 7, 0])),
        event(EXECUTION, &longs(&[0, 2, 0, 0])),
        event(EXECUTION, &longs(&[0, 9, 0, 0])),
    ];
    let expected = "[process_cpu cpu:nanoseconds]\n(truncated);read 10000000 endpoint=/pay\n\
                    (truncated);read 10000000\n(unknown) 10000000\n";
    let recording = chunk(&events);
    check(&recording, &labels, expected);
    check(
        &gzip::compress(&recording),
        &gzip::compress(&labels),
        expected,
    );
    check(
        &recording,
        b"\x0a\xff",
        "invalid JFR recording: the labels part is not a valid labels message at byte 1",
    );
}

#[test]
fn chunks_add_up() {
    let one = chunk(&[event(EXECUTION, &longs(&[0, 1, 0, 0]))]);
    let recording = [one.clone(), one].concat();
    check(
        &recording,
        &[],
        "[process_cpu cpu:nanoseconds]\njava/lang/Thread.run@:7;App.work@:42 20000000\n",
    );
    let import = decode(&recording, Format::Jfr, &Options::default()).expect("valid");
    let profile = &import.profiles[0].profile;
    assert_eq!(
        (profile.time_nanos, profile.duration_nanos),
        (1_700_000_000_000_000_000, 20_000_000_000)
    );
    assert_eq!(profile.period, 10_000_000);
}

#[test]
fn values_without_bytes_do_not_exhaust_time_or_stack() {
    let constants = |class: i64, values: &[i64]| {
        let mut fields = longs(&[0, 0, 0]);
        fields.push(1);
        fields.extend(longs(&[1, class]));
        fields.extend(longs(values));
        event(1, &fields)
    };
    let fault = |events: &[Vec<u8>]| {
        let error = decode(&chunk(events), Format::Jfr, &Options::default()).expect_err("hostile");
        error.to_string()
    };
    let error = fault(&[constants(SELF, &[1, 7])]);
    assert!(error.contains("values nested too deep at byte"), "{error}");
    let error = fault(&[constants(TWICE, &[1, 7, i64::from(i32::MAX), 0])]);
    assert!(error.contains("more items than bytes at byte"), "{error}");
    // Many arrays whose items have no bytes, each as long as the rest of its event.
    let mut values = vec![2_000];
    values.extend((0..2_000).flat_map(|key| [key, 1_000, 1_000]));
    let many = constants(TWICE, &values);
    let error = fault(&[many.clone(), many]);
    assert!(error.contains("more values than bytes at byte"), "{error}");
    let error = fault(&[constants(99, &[1, 7])]);
    assert!(
        error.contains("constants of an unknown class at byte"),
        "{error}"
    );
}

#[test]
fn faults_are_reported_with_their_offset() {
    let recording = chunk(&[]);
    check(
        &recording,
        &[],
        "invalid JFR recording: no samples; enable events such as jdk.ExecutionSample",
    );
    check(
        &recording[..40],
        &[],
        "invalid JFR recording: truncated header of a chunk at byte 0",
    );
    check(
        &recording[..recording.len() - 1],
        &[],
        "invalid JFR recording: chunk beyond the end of the recording at byte 16",
    );
    check(
        &[&recording[..], b"rest"].concat(),
        &[],
        &format!(
            "invalid JFR recording: expected the start of a chunk at byte {}",
            recording.len()
        ),
    );
    let mut version = recording.clone();
    version[5] = 9;
    check(
        &version,
        &[],
        "invalid JFR recording: unsupported version; expected 1 or 2 at byte 6",
    );
    let mut open = recording.clone();
    open[8..16].fill(0);
    check(
        &open,
        &[],
        "invalid JFR recording: unfinished chunk; stop the recording, or dump it, before it is sent at byte 16",
    );
    let mut size = recording.clone();
    size[68] = 0;
    size[69] = 0;
    check(
        &size,
        &[],
        "invalid JFR recording: invalid size of an event at byte 69",
    );
}
