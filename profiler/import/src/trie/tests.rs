use crate::outline::outline;
use crate::{Error, Format, Options, decode, detect};
use davy_profile::Limits;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes nodes in preorder: name, value, number of children.
fn nodes(nodes: &[(&str, u64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value, children) in nodes {
        varint(name.len() as u64, &mut out);
        out.extend_from_slice(name.as_bytes());
        varint(*value, &mut out);
        varint(*children, &mut out);
    }
    out
}

/// A trie whose long first text 1,000 nodes continue.
fn continued(children: &[&str], value: u64) -> Vec<u8> {
    let long = "x".repeat(1_000);
    let mut all = vec![("", 0, 1), (&*long, 0, 1_000)];
    all.extend(children.iter().map(|name| (*name, value, 0)));
    nodes(&all)
}

fn limited(limits: Limits) -> Options<'static> {
    Options {
        limits,
        ..Options::default()
    }
}

fn check(format: Format, input: &[(&str, u64, u64)], scale: i64, expected: &str) {
    let options = Options {
        scale,
        ..Options::default()
    };
    let got = decode(&nodes(input), format, &options);
    let got = got.map_or_else(|error| error.to_string(), |import| outline(&import));
    assert_eq!(got, expected);
}

#[test]
fn nodes_of_a_tree_are_frames() {
    let tree = [
        ("", 0, 2),
        ("main", 1, 2),
        ("a", 2, 0),
        ("b", 300, 0),
        ("idle", 4, 0),
    ];
    check(
        Format::Tree,
        &tree,
        10,
        "[ samples:count]\nmain 10\nmain;a 20\nmain;b 3000\nidle 40\n",
    );
    assert_eq!(detect(&nodes(&tree)), Ok(Format::Tree));
    let named_root = [("all", 1, 1), ("main", 2, 0)];
    let expected = "[ samples:count]\nall 1\nall;main 2\n";
    check(Format::Tree, &named_root, 1, expected);
}

#[test]
fn texts_of_a_trie_are_joined_before_they_are_split() {
    let trie = [
        ("", 0, 2),
        ("main;", 0, 2),
        ("wor", 0, 2),
        ("k", 5, 1),
        (";leaf", 6, 0),
        ("d", 7, 0),
        ("io", 8, 0),
        ("x", 9, 0),
    ];
    check(
        Format::Trie,
        &trie,
        1,
        "[ samples:count]\nmain;work 5\nmain;work;leaf 6\nmain;word 7\nmain;io 8\nx 9\n",
    );
    assert_eq!(detect(&nodes(&trie)), Ok(Format::Trie));
}

#[test]
fn value_beyond_64_bits_is_refused() {
    let hint = "if the counts are not samples, name their unit (units), else correct the sample rate (sampleRate)";
    let expected = format!("node at byte 3: 9223372036854775807 times 2 exceeds 64 bits; {hint}");
    for format in [Format::Tree, Format::Trie] {
        check(
            format,
            &[("", 0, 1), ("a", i64::MAX as u64, 0)],
            2,
            &expected,
        );
    }
}

#[test]
fn corrupt_nodes_are_reported_with_their_offset() {
    let check = |bytes: &[u8], expected: &str| {
        let error = decode(bytes, Format::Tree, &Options::default()).expect_err("corrupt");
        assert_eq!(error.to_string(), format!("invalid tree: {expected}"));
    };
    check(
        &[0, 0, 1, 9, b'a', 0],
        "name beyond the end of the data at byte 4",
    );
    check(&[0, 0, 1], "more children than bytes at byte 3");
    check(
        &[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        "more children than bytes at byte 7",
    );
    check(&[0, 0, 0, 0], "bytes after the last node at byte 3");
    check(&[0, 0x80], "truncated number at byte 1");
    check(&[0xff; 12], "varint of more than 10 bytes at byte 0");
}

#[test]
fn deep_tree_is_truncated_in_linear_time() {
    let options = limited(Limits {
        depth: 8,
        ..Limits::default()
    });
    let mut input = vec![("", 0, 1)];
    input.extend((0..20_000).map(|_| ("r", 1, 1)));
    input.push(("leaf", 1, 0));
    let import = decode(&nodes(&input), Format::Tree, &options).expect("valid");
    let text = outline(&import);
    assert!(
        text.contains("\nr;r;r;(truncated);r;r;r;r 19992\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\nr;r;r;(truncated);r;r;r;leaf 1\n"),
        "{text}"
    );
    let total: i64 = import.profiles[0].profile.samples.values.iter().sum();
    assert_eq!(total, 20_001);
}

#[test]
fn names_that_multiply_the_input_are_refused() {
    let options = limited(Limits {
        bytes: 40_000,
        ..Limits::default()
    });
    let names: Vec<_> = (0..1_000).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let input = continued(&names, 1);
    let error = decode(&input, Format::Trie, &options).expect_err("too many names");
    let is_of_names = |error| {
        matches!(
            error,
            Error::Profile(davy_profile::Error::TooMany {
                what: "bytes of names",
                ..
            })
        )
    };
    assert!(is_of_names(error));
}

#[test]
fn long_last_frames_are_not_read_without_end() {
    let options = limited(Limits {
        bytes: 10_000,
        ..Limits::default()
    });
    let input = continued(&["y"; 1_000], 0);
    let error = decode(&input, Format::Trie, &options).expect_err("too much work");
    assert_eq!(
        error.to_string(),
        "profile has 40039 bytes in the last frames of its stacks; the limit is 40000; split it by time"
    );
}
