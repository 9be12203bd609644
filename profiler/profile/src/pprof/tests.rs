use super::*;
use crate::wire::Writer;
use crate::{
    Error, Function, Label, LabelSetId, LabelValue, Limits, Line, Mapping, NodeId, Profile,
};

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
        is_main: false,
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
        "invalid pprof profile: duplicate location id 4; if several profiles were written to one file, send each \
         one in a request of its own",
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

/// A profile with one sample, whose stack has these locations, leaf first; each has as many frames as `lines`
/// says.
fn deep(leaf_first: &[u64], lines: &[usize]) -> Vec<u8> {
    let mut fields = vec![
        (field::SAMPLE_TYPE, message(&[(1, 1)])),
        (
            field::SAMPLE,
            [
                raw(&[(1, leaf_first.iter().map(|id| *id as u8).collect())]),
                message(&[(2, 1)]),
            ]
            .concat(),
        ),
    ];
    for (index, lines) in lines.iter().enumerate() {
        let id = index as u64 + 1;
        let frames = raw(&vec![(4, message(&[(2, 7)])); *lines]);
        fields.push((
            field::LOCATION,
            [message(&[(1, id), (3, id)]), frames].concat(),
        ));
    }
    fields.extend([
        (field::STRING_TABLE, vec![]),
        (field::STRING_TABLE, b"x".to_vec()),
    ]);
    raw(&fields)
}

/// Addresses of the only stack, leaf first; 0 is the marker.
fn addresses(bytes: &[u8], limits: &Limits) -> (Vec<u64>, u64) {
    let profile = decode(bytes, limits).expect("valid");
    assert_eq!(profile.sample_count(), 1, "the sample is kept");
    let leaf_first = profile.stacks.leaf_to_root(profile.samples.stacks[0]);
    let addresses = leaf_first.map(|location| profile.locations[location as usize].address);
    (addresses.collect(), profile.truncated.stacks)
}

#[test]
fn middle_of_a_stack_that_is_too_deep_is_replaced_by_a_marker() {
    let limits = |depth| Limits {
        depth,
        ..Limits::default()
    };
    let stack: Vec<u64> = (1..=9).collect();
    let check = |depth, expected: &[u64], truncated| {
        assert_eq!(
            addresses(&deep(&stack, &[1; 9]), &limits(depth)),
            (expected.to_vec(), truncated),
            "{depth}"
        );
    };
    check(9, &stack, 0);
    check(8, &[1, 2, 3, 4, 0, 7, 8, 9], 1);
    check(4, &[1, 2, 0, 9], 1);
    check(1, &[0], 1);
    // A recursion that is cut while it is read: both ends are kept.
    let recursion = [vec![1, 2], vec![3; 50_000], vec![4, 5]].concat();
    let (kept, truncated) = addresses(&deep(&recursion, &[1; 5]), &limits(100));
    assert_eq!((kept.len(), truncated), (100, 1));
    assert_eq!((&kept[..3], kept[16]), (&[1, 2, 3][..], 0));
    assert_eq!(kept[97..], [3, 4, 5]);
    // Inlined frames count.
    let (kept, truncated) = addresses(&deep(&[1, 1, 2, 2], &[60, 60]), &limits(240));
    assert_eq!((kept, truncated), (vec![1, 1, 2, 2], 0));
    let (kept, truncated) = addresses(&deep(&[1, 1, 2, 2], &[60, 60]), &limits(239));
    assert_eq!((kept, truncated), (vec![0, 1, 2, 2], 1));
}

#[test]
fn string_that_is_too_long_is_truncated_with_a_mark() {
    let limits = Limits {
        string: 10,
        ..Limits::default()
    };
    let text = |text: &str| {
        let bytes = raw(&[
            (field::SAMPLE_TYPE, message(&[(1, 1)])),
            (field::STRING_TABLE, vec![]),
            (field::STRING_TABLE, text.as_bytes().to_vec()),
        ]);
        let profile = decode(&bytes, &limits).expect("valid");
        let kept = profile.text(profile.sample_types[0].kind).to_owned();
        (kept, profile.truncated.strings)
    };
    assert_eq!(text("0123456789"), ("0123456789".to_owned(), 0));
    assert_eq!(text("0123456789a"), ("0123456…".to_owned(), 1));
    assert_eq!(text("012345ä789a"), ("012345…".to_owned(), 1));
}

#[test]
fn several_profiles_in_one_file_are_rejected() {
    let one = encode(&everything());
    let two = [one.clone(), one].concat();
    assert_eq!(
        decode(&two, &Limits::default()).map(|_| ()),
        Err(Error::Concatenated)
    );
    // A writer may put the types last.
    let types_last = raw(&[
        (field::SAMPLE, message(&[(1, 1), (2, 1)])),
        (field::SAMPLE_TYPE, message(&[(1, 1)])),
        (field::LOCATION, message(&[(1, 1)])),
        (field::STRING_TABLE, vec![]),
        (field::STRING_TABLE, b"x".to_vec()),
    ]);
    assert!(decode(&types_last, &Limits::default()).is_ok());
    // Neither with times nor with samples.
    let tiny = raw(&[
        (field::SAMPLE_TYPE, message(&[(1, 1)])),
        (field::FUNCTION, message(&[(1, 1)])),
        (field::STRING_TABLE, vec![]),
        (field::STRING_TABLE, b"x".to_vec()),
    ]);
    let error = decode(&[tiny.clone(), tiny].concat(), &Limits::default()).expect_err("two");
    assert!(error.to_string().contains("several profiles"), "{error}");
}

#[test]
fn inputs_that_are_not_profiles_are_rejected() {
    let limits = Limits::default();
    assert_eq!(decode(&[], &limits).map(|_| ()), Err(Error::NoSampleType));
    assert!(decode(b"GET / HTTP/1.1", &limits).is_err());
}

#[test]
fn number_of_distinct_frames_is_limited() {
    let limits = Limits {
        nodes: 100,
        ..Limits::default()
    };
    assert!(decode(&deep(&[1], &[100]), &limits).is_ok());
    assert_eq!(
        decode(&deep(&[1, 1], &[60]), &limits).map(|_| ()),
        Err(Error::TooMany {
            what: "distinct stack frames",
            got: 120,
            limit: 100,
        })
    );
}

#[test]
fn size_of_the_stacks_is_known_before_they_are_encoded() {
    let check = |locations: usize, depth: usize, samples: usize| {
        let mut profile = Profile::new();
        profile.add_sample_type("cpu", "nanoseconds");
        let names: Vec<String> = (0..locations).map(|name| format!("f{name}")).collect();
        let path = (0..depth).map(|frame| profile.named_location(&names[frame % locations]));
        let path: Vec<u32> = path.collect();
        let stack = profile.stack(path);
        for _ in 0..samples {
            profile.add_sample(stack, LabelSetId(0), &[1]);
        }
        let mut without = profile.clone();
        without.samples.stacks.fill(NodeId::ROOT);
        // Each list of locations has a key and a length.
        let framing = 2 * samples;
        let longer = encode(&profile).len() - encode(&without).len();
        let expected = stack_bytes(&profile) as usize;
        assert!(
            (expected..=expected + framing + 4 * samples).contains(&longer),
            "{expected} of {longer}"
        );
    };
    check(1, 1, 1);
    check(127, 127, 3);
    check(128, 128, 1);
    check(20_000, 40_000, 2);
}

#[test]
fn samples_above_the_limit_are_not_collected() {
    let limits = Limits {
        samples: 2,
        ..Limits::default()
    };
    let sample_type = (field::SAMPLE_TYPE, message(&[(1, 1)]));
    let with_samples = |count: usize| {
        let mut fields = vec![sample_type.clone()];
        fields.extend(vec![(field::SAMPLE, message(&[(2, 1)])); count]);
        fields.push((field::STRING_TABLE, vec![]));
        fields.push((field::STRING_TABLE, b"x".to_vec()));
        decode(&raw(&fields), &limits).map(|profile| profile.sample_count())
    };
    assert_eq!(with_samples(2), Ok(2));
    let too_many = Error::TooMany {
        what: "samples",
        got: 3,
        limit: 2,
    };
    assert_eq!(with_samples(900), Err(too_many));
}

#[test]
fn many_sample_types_and_samples_do_not_reserve_their_product() {
    let fields = |field: u64, count: usize| vec![(field, vec![]); count];
    let mut all = fields(field::SAMPLE_TYPE, 300_000);
    all.extend(fields(field::SAMPLE, 300_000));
    let too_few = Error::ValueCount {
        index: 0,
        got: 0,
        expected: 300_000,
    };
    let error = decode(&raw(&all), &Limits::default()).map(|_| ());
    assert_eq!(error, Err(too_few));
}

#[test]
fn labels_of_one_sample_are_limited() {
    let with_labels = |count: usize| {
        let mut sample = message(&[(2, 1)]);
        sample.extend([0x1a, 0].repeat(count));
        let fields = [
            (field::SAMPLE_TYPE, message(&[(1, 1)])),
            (field::SAMPLE, sample),
            (field::STRING_TABLE, vec![]),
            (field::STRING_TABLE, b"x".to_vec()),
        ];
        decode(&raw(&fields), &Limits::default()).map(|profile| profile.sample_count())
    };
    assert_eq!(with_labels(1_024), Ok(1));
    let too_many = Error::TooMany {
        what: "labels of one sample",
        got: 1_025,
        limit: 1_024,
    };
    assert_eq!(with_labels(1_025), Err(too_many));
}
