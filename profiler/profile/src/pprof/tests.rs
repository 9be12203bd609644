use super::*;
use crate::wire::Writer;
use crate::{Error, Function, Label, LabelSetId, LabelValue, Limits, Line, Mapping, Profile};

/// A profile that uses every field of the format.
fn everything() -> Profile {
    let mut p = Profile::new();
    p.add_sample_type("samples", "count");
    p.add_sample_type("cpu", "nanoseconds");
    p.period_type = p.sample_types[1];
    p.period = 10_000_000;
    p.time_nanos = 1_700_000_000_000_000_000;
    p.duration_nanos = 10_000_000_000;
    let mut text = |t: &str| p.strings.intern(t);
    let (file, build_id) = (text("/bin/x"), text("abc123"));
    let (name, system_name, source) = (text("f"), text("_f"), text("f.c"));
    let (key, value, bytes_key, unit) =
        (text("thread"), text("main"), text("bytes"), text("bytes"));
    (p.drop_frames, p.keep_frames, p.doc_url) =
        (text("drop"), text("keep"), text("https://example.org"));
    p.default_sample_type = text("cpu");
    p.comments = vec![text("first"), text("second")];
    p.mappings.push(Mapping {
        start: 0x1000,
        limit: 0x9000,
        file_offset: 0x200,
        file,
        build_id,
        has_functions: true,
        has_filenames: false,
        has_line_numbers: true,
        has_inline_frames: false,
    });
    let function = p.function(Function {
        name,
        system_name,
        file: source,
        start_line: 3,
    });
    let inlined = p.location(
        Some(0),
        0x1234,
        &[
            Line {
                function,
                line: 5,
                column: 7,
            },
            Line {
                function: Line::NO_FUNCTION,
                line: 9,
                column: 0,
            },
        ],
    );
    let bare = p.location(None, u64::MAX, &[]);
    p.locations[bare as usize].is_folded = true;
    let labels = p.label_sets.intern(&[
        Label {
            key,
            value: LabelValue::Text(value),
        },
        Label {
            key,
            value: LabelValue::Text(value),
        },
        Label {
            key: bytes_key,
            value: LabelValue::Number(-4096, unit),
        },
    ]);
    let (one, two) = (p.stack([inlined, bare]), p.stack([inlined]));
    p.add_sample(one, labels, &[1, -10]);
    p.add_sample(two, LabelSetId(0), &[i64::MAX, i64::MIN]);
    p
}

#[test]
fn every_field_survives_a_round_trip() {
    let bytes = encode(&everything());
    let back = decode(&bytes, &Limits::default()).expect("an encoded profile is valid");
    assert_eq!(encode(&back), bytes);
    assert_eq!(back.sample_count(), 2);
    assert_eq!(back.values(1), [i64::MAX, i64::MIN]);
    assert_eq!(back.label_sets.get(back.samples.labels[0]).len(), 3);
    assert_eq!(back.locations[1].address, u64::MAX);
    assert_eq!(back.text(back.comments[1]), "second");
}

#[test]
fn corrupt_input_does_not_panic() {
    let bytes = encode(&everything());
    let mut survived = 0;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut corrupt = bytes.clone();
            corrupt[at] ^= flip;
            if let Ok(profile) = decode(&corrupt, &Limits::default()) {
                encode(&profile);
                survived += 1;
            }
        }
        let _ = decode(&bytes[..at], &Limits::default());
    }
    assert!(survived > 0, "changes of a number are still valid");
}

/// A message of length-delimited fields, given as (field, message).
fn raw(fields: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Writer::default();
    for (field, message) in fields {
        out.bytes(*field, message);
    }
    out.into_bytes()
}

/// A message of numbers, given as (field, number).
fn message(numbers: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Writer::default();
    for (field, value) in numbers {
        out.number(*field, *value);
    }
    out.into_bytes()
}

#[test]
fn dangling_references_and_bad_ids_are_named() {
    let check = |fields: &[(u64, Vec<u8>)], expected: &str| {
        let mut all = vec![(field::SAMPLE_TYPE, message(&[(1, 1), (2, 1)]))];
        all.extend_from_slice(fields);
        all.extend([
            (field::STRING_TABLE, vec![]),
            (field::STRING_TABLE, b"x".to_vec()),
        ]);
        let error = decode(&raw(&all), &Limits::default()).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    let sample = |location: u64| (field::SAMPLE, message(&[(1, location), (2, 1)]));
    check(
        &[sample(1)],
        "invalid pprof profile: sample 0 refers to location 1, which does not exist",
    );
    check(
        &[sample(1), (field::LOCATION, message(&[(1, 1), (2, 7)]))],
        "invalid pprof profile: location 0 refers to mapping 7, which does not exist",
    );
    let line = raw(&[(4, message(&[(1, 9)]))]);
    check(
        &[(field::LOCATION, [message(&[(1, 1)]), line].concat())],
        "invalid pprof profile: location 0 refers to function 9, which does not exist",
    );
    check(
        &[(field::FUNCTION, message(&[(1, 1), (2, 5)]))],
        "invalid pprof profile: function 0 refers to string 5, which does not exist",
    );
    check(
        &[
            (field::LOCATION, message(&[(1, 4)])),
            (field::LOCATION, message(&[(1, 4)])),
        ],
        "invalid pprof profile: duplicate location id 4",
    );
    check(
        &[
            (field::LOCATION, message(&[(1, 1)])),
            (field::SAMPLE, message(&[(1, 1)])),
        ],
        "invalid pprof profile: sample 0 has 0 values; expected 1, one for each sample type",
    );
    check(
        &[(field::LOCATION, message(&[(3, 4)]))],
        "invalid pprof profile: location 0 has no id, or the reserved id 0",
    );
}

#[test]
fn ids_need_not_be_consecutive() {
    let bytes = raw(&[
        (field::SAMPLE_TYPE, message(&[(1, 1)])),
        (field::SAMPLE, message(&[(1, 500), (1, 70), (2, 3)])),
        (field::LOCATION, message(&[(1, 70), (3, 0x70)])),
        (field::LOCATION, message(&[(1, 500), (3, 0x500)])),
        (field::STRING_TABLE, vec![]),
        (field::STRING_TABLE, b"x".to_vec()),
    ]);
    let profile = decode(&bytes, &Limits::default()).expect("valid");
    let leaf_first: Vec<u64> = profile
        .stacks
        .leaf_to_root(profile.samples.stacks[0])
        .map(|location| profile.locations[location as usize].address)
        .collect();
    assert_eq!(leaf_first, [0x500, 0x70]);
}

#[test]
fn inputs_beyond_the_limits_are_rejected() {
    let deep = |depth: usize| {
        raw(&[
            (field::SAMPLE_TYPE, message(&[(1, 1)])),
            (
                field::SAMPLE,
                [raw(&[(1, vec![1; depth])]), message(&[(2, 1)])].concat(),
            ),
            (field::LOCATION, message(&[(1, 1)])),
            (field::STRING_TABLE, vec![]),
            (field::STRING_TABLE, b"x".to_vec()),
        ])
    };
    let limits = Limits {
        depth: 100,
        string: 10,
        ..Limits::default()
    };
    assert!(decode(&deep(100), &limits).is_ok());
    assert_eq!(
        decode(&deep(1_000_000), &limits).map(|_| ()),
        Err(Error::TooDeep {
            index: 0,
            depth: 1_000_000,
            limit: 100
        })
    );
    let long = raw(&[
        (field::STRING_TABLE, vec![]),
        (field::STRING_TABLE, vec![b'x'; 11]),
    ]);
    assert_eq!(
        decode(&long, &limits).map(|_| ()),
        Err(Error::TooLong {
            what: "string",
            got: 11,
            limit: 10
        })
    );
    assert_eq!(decode(&[], &limits).map(|_| ()), Err(Error::NoSampleType));
    assert!(decode(b"GET / HTTP/1.1", &limits).is_err());
}

#[test]
fn limits_count_inlined_frames() {
    let lines = raw(&vec![(4, message(&[(2, 7)])); 60]);
    let bytes = |repeats: usize| {
        raw(&[
            (field::SAMPLE_TYPE, message(&[(1, 1)])),
            (
                field::SAMPLE,
                [raw(&[(1, vec![1; repeats])]), message(&[(2, 1)])].concat(),
            ),
            (
                field::LOCATION,
                [message(&[(1, 1)]), lines.clone()].concat(),
            ),
            (field::STRING_TABLE, vec![]),
            (field::STRING_TABLE, b"x".to_vec()),
        ])
    };
    let check = |repeats: usize, limits: Limits, expected: Result<(), Error>| {
        assert_eq!(decode(&bytes(repeats), &limits).map(|_| ()), expected);
    };
    check(
        1,
        Limits {
            depth: 60,
            ..Limits::default()
        },
        Ok(()),
    );
    check(
        2,
        Limits {
            depth: 119,
            ..Limits::default()
        },
        Err(Error::TooDeep {
            index: 0,
            depth: 120,
            limit: 119,
        }),
    );
    let got = Error::TooMany {
        what: "distinct stack frames",
        got: 120,
        limit: 100,
    };
    check(
        2,
        Limits {
            nodes: 100,
            ..Limits::default()
        },
        Err(got),
    );
}
