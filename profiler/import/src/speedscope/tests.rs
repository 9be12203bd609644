use crate::outline::outline;
use crate::{Format, Options, Skipped, decode, detect};

/// A file with the frames main, work (with a line) and idle.
fn file(profiles: &str) -> String {
    format!(
        r#"{{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"x","profiles":[{profiles}],
            "shared":{{"frames":[{{"name":"main"}},{{"name":"work","file":"w.rs","line":7,"col":2}},{{"name":"idle","file":null}}]}}}}"#
    )
}

fn check(profiles: &str, expected: &str) {
    let options = Options {
        scale: 10,
        ..Options::default()
    };
    let got = decode(file(profiles).as_bytes(), Format::Speedscope, &options);
    let got = got.map_or_else(|error| error.to_string(), |import| outline(&import));
    assert_eq!(got, expected, "{profiles}");
}

#[test]
fn sampled_profiles_have_exact_weights() {
    for (unit, weight, expected) in [
        ("none", "12.5", "[ samples:count]\nmain;work@w.rs:7 125\n"),
        (
            "nanoseconds",
            "12",
            "[wall wall:nanoseconds]\nmain;work@w.rs:7 12\n",
        ),
        (
            "microseconds",
            "0.0125",
            "[wall wall:nanoseconds]\nmain;work@w.rs:7 13\n",
        ),
        (
            "milliseconds",
            "1.000001",
            "[wall wall:nanoseconds]\nmain;work@w.rs:7 1000001\n",
        ),
        (
            "seconds",
            "1e-9",
            "[wall wall:nanoseconds]\nmain;work@w.rs:7 1\n",
        ),
        (
            "bytes",
            "4096",
            "[memory space:bytes]\nmain;work@w.rs:7 4096\n",
        ),
    ] {
        check(
            &format!(
                r#"{{"type":"sampled","name":"t","unit":"{unit}","startValue":0,"endValue":9,"samples":[[0,1]],"weights":[{weight}]}}"#
            ),
            expected,
        );
    }
}

#[test]
fn evented_profiles_give_the_time_between_events_to_the_open_stack() {
    let events = r#"[{"type":"O","frame":0,"at":1000},{"type":"O","frame":1,"at":1000.5},{"type":"C","frame":1,"at":1003},{"at":1004,"frame":0,"type":"C"}]"#;
    check(
        &format!(
            r#"{{"events":{events},"type":"evented","name":"t","startValue":0,"endValue":1009,"unit":"microseconds"}}"#
        ),
        "[wall wall:nanoseconds]\nmain 1500\nmain;work@w.rs:7 2500\n",
    );
}

#[test]
fn unbalanced_events_keep_the_total() {
    // work is closed without an open, main is closed while idle is open, and main stays open at the end.
    let events = r#"[{"type":"C","frame":1,"at":0},{"type":"O","frame":0,"at":0},{"type":"O","frame":2,"at":1},
        {"type":"C","frame":0,"at":3},{"type":"O","frame":0,"at":5}]"#;
    let profile = format!(
        r#"{{"type":"evented","name":"t","unit":"nanoseconds","startValue":0,"endValue":9,"events":{events}}}"#
    );
    check(&profile, "[wall wall:nanoseconds]\nmain 5\nmain;idle 2\n");
    let import = decode(
        file(&profile).as_bytes(),
        Format::Speedscope,
        &Options::default(),
    )
    .expect("valid");
    let first = Some((0, "the event closes a frame that is not open"));
    assert_eq!(import.skipped, Skipped { count: 2, first });
}

#[test]
fn profiles_of_a_unit_are_joined_and_labelled() {
    let one = r#"{"type":"sampled","name":"one","unit":"milliseconds","startValue":0,"endValue":9,"samples":[[0]],"weights":[1]}"#;
    let two = r#"{"type":"sampled","name":"two","unit":"nanoseconds","startValue":0,"endValue":9,"samples":[[0]],"weights":[2]}"#;
    let three = r#"{"type":"sampled","name":"three","unit":"bytes","startValue":0,"endValue":9,"samples":[[2]],"weights":[3]}"#;
    check(
        &[one, two, three].join(","),
        "[wall wall:nanoseconds]\nmain 1000000 profile_name=one\nmain 2 profile_name=two\n[memory space:bytes]\nidle 3 profile_name=three\n",
    );
}

#[test]
fn options_of_the_same_unit_name_what_is_measured() {
    let options = Options {
        kind: "cpu",
        unit: "nanoseconds",
        scale: 10,
        ..Options::default()
    };
    let profile =
        r#"{"type":"sampled","name":"t","unit":"milliseconds","samples":[[0]],"weights":[3]}"#;
    let import = decode(file(profile).as_bytes(), Format::Speedscope, &options).expect("valid");
    assert_eq!(outline(&import), "[ cpu:nanoseconds]\nmain 3000000\n");
}

#[test]
fn faults_name_the_index() {
    let sampled = |samples: &str, weights: &str| {
        format!(
            r#"{{"type":"sampled","name":"t","unit":"none","startValue":0,"endValue":9,"samples":{samples},"weights":{weights}}}"#
        )
    };
    check(
        &sampled("[[0],[1]]", "[1]"),
        "invalid speedscope file: profile 0 has only 1 weights; expected one for each sample",
    );
    check(
        &sampled("[[0]]", "[1,2]"),
        "invalid speedscope file: profile 0 has 1 samples and more weights; expected one for each sample",
    );
    check(
        &sampled("[[0],[3]]", "[1,1]"),
        "invalid speedscope file: sample 1 refers to frame 3, but there are 3 frames",
    );
    check(&sampled("[]", "[]"), "invalid speedscope file: no samples");
    let backwards = r#"{"type":"evented","name":"t","unit":"none","startValue":0,"endValue":9,"events":[{"type":"O","frame":0,"at":5},{"type":"C","frame":0,"at":4}]}"#;
    check(
        backwards,
        "invalid speedscope file: event 1 of profile 0 is earlier than the event before it",
    );
    check(
        r#"{"type":"sampled","unit":"furlongs"}"#,
        "invalid speedscope file: profile 0 has the unit \"furlongs\"; expected none, nanoseconds, microseconds, milliseconds, seconds or bytes",
    );
    check(
        r#"{"type":"new","unit":"none"}"#,
        "invalid speedscope file: profile 0 has the type \"new\"; expected sampled or evented",
    );
    let error = decode(b"{}", Format::Speedscope, &Options::default()).expect_err("empty");
    assert_eq!(
        error.to_string(),
        "invalid speedscope file: no shared.frames"
    );
}

#[test]
fn negative_weight_is_skipped() {
    let profile =
        r#"{"type":"sampled","name":"t","unit":"none","samples":[[0],[1]],"weights":[-1,2]}"#;
    let import = decode(
        file(profile).as_bytes(),
        Format::Speedscope,
        &Options::default(),
    )
    .expect("valid");
    assert_eq!(
        outline(&import),
        "[ samples:count]\nmain;work@w.rs:7 2\n".replace("main;", "")
    );
    assert_eq!(
        import.skipped,
        Skipped {
            count: 1,
            first: Some((0, "the weight is negative"))
        }
    );
}

#[test]
fn file_is_recognized() {
    assert_eq!(detect(file("").as_bytes()), Ok(Format::Speedscope));
}

#[test]
fn frame_that_stays_open_is_not_open_in_the_next_profile() {
    let profile = |name: &str, events: &str| {
        format!(
            r#"{{"events":[{events}],"type":"evented","name":"{name}","startValue":0,"endValue":9,"unit":"nanoseconds"}}"#
        )
    };
    let first = profile("a", r#"{"type":"O","frame":0,"at":1}"#);
    let second = profile(
        "b",
        r#"{"type":"O","frame":1,"at":1},{"type":"C","frame":0,"at":4}"#,
    );
    let input = file(&format!("{first},{second}"));
    let import = decode(input.as_bytes(), Format::Speedscope, &Options::default()).expect("valid");
    assert_eq!(
        outline(&import),
        "[wall wall:nanoseconds]\nmain 8 profile_name=a\nwork@w.rs:7 8 profile_name=b\n"
    );
    let closed = (1, "the event closes a frame that is not open");
    assert_eq!(import.skipped.first, Some(closed));
}

#[test]
fn number_of_frames_is_limited() {
    let profile = r#"{"type":"sampled","name":"","unit":"none","startValue":0,"endValue":1,"samples":[[0]],"weights":[1]}"#;
    let with_limit = |nodes: usize| {
        let mut options = Options::default();
        options.limits.nodes = nodes;
        decode(file(profile).as_bytes(), Format::Speedscope, &options).map(|_| ())
    };
    assert_eq!(with_limit(3), Ok(()));
    let error = with_limit(2).expect_err("too many").to_string();
    assert!(error.contains("3 frames; the limit is 2"), "{error}");
}
