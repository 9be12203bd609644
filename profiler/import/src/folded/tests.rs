use crate::{Error, Format, Import, Options, Skipped, decode};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits, folded};

fn text(import: &Import) -> String {
    let mut tree = FlameTree::new();
    tree.add_profile(&import.profiles[0].profile, 0, Grain::Function);
    folded::encode(&tree)
}

fn check(input: &[u8], scale: i64, expected: Result<(&str, usize), &str>) {
    let options = Options {
        scale,
        ..Options::default()
    };
    let got = decode(input, Format::Folded, &options);
    let got = got.map(|import| (text(&import), import.skipped.count));
    let got = got.map_err(|error| error.to_string());
    let expected = expected.map(|(text, skipped)| (text.to_owned(), skipped));
    assert_eq!(
        got,
        expected.map_err(str::to_owned),
        "{:?}",
        String::from_utf8_lossy(input)
    );
}

#[test]
fn counts_are_exact_products() {
    check(
        b"main;solve 12.5\nmain;solve;dot 0.156\nmain;io 7.0\n",
        10_000_000,
        Ok((
            "main;solve 125000000\nmain;solve;dot 1560000\nmain;io 70000000\n",
            0,
        )),
    );
    check(
        b"main;solve 12.0\nmain;io 1e3",
        1,
        Ok(("main;solve 12\nmain;io 1000\n", 0)),
    );
    check(b"a 1\na 2\n", 1, Ok(("a 3\n", 0)));
}

#[test]
fn product_beyond_64_bits_is_refused() {
    let input = b"main;a 1000000000000\nmain;b 2000000000000\nmain;c 10\n";
    check(
        input,
        10_000_000,
        Err(
            "line 1: 1000000000000 times 10000000 exceeds 64 bits; if the counts are not samples, name their unit (units), else correct the sample rate (sampleRate)",
        ),
    );
    check(
        input,
        1,
        Ok(("main;a 1000000000000\nmain;b 2000000000000\nmain;c 10\n", 0)),
    );
    check(
        b"a 9223372036854775807\na 1",
        1,
        Err("the values of one stack add up to more than 64 bits; split the profile by time"),
    );
}

#[test]
fn comments_are_not_frames() {
    check(
        b"# interval: 100\nmain;work 30\n# duration: 383010\n",
        1,
        Ok(("main;work 30\n", 0)),
    );
    check(b"#<Class:0x1>;f 3\n", 1, Ok(("#<Class:0x1>;f 3\n", 0)));
}

#[test]
fn mode_of_austin_states_type_and_unit() {
    let check = |mode: &str, headers: bool, expected: (&str, &str, &str, i64, i64)| {
        let input = format!(
            "# austin: 3.6.0\n# interval: 100\n# mode: {mode}\n\nP7;T7;/app/run.py:work:9 250\n# duration: 383010\n"
        );
        let options = Options {
            headers,
            scale: 7,
            ..Options::default()
        };
        let import = decode(input.as_bytes(), Format::Folded, &options).expect("valid");
        let profile = &import.profiles[0].profile;
        let value_type = profile.sample_types[0];
        let got = (
            &*import.profiles[0].name,
            profile.text(value_type.kind),
            profile.text(value_type.unit),
            profile.values(0)[0],
            profile.period,
        );
        assert_eq!(got, expected, "{mode}");
        assert_eq!(profile.duration_nanos, 383_010_000);
        assert_eq!(
            text(&import).split(' ').next(),
            Some("P7;T7;/app/run.py:work:9")
        );
    };
    check(
        "wall",
        true,
        ("wall", "wall", "nanoseconds", 250_000, 100_000),
    );
    check(
        "cpu",
        true,
        ("process_cpu", "cpu", "nanoseconds", 250_000, 100_000),
    );
    check("memory", true, ("memory", "alloc_space", "bytes", 250, 0));
    check("new", true, ("", "samples", "count", 1_750, 7));
    check("wall", false, ("", "samples", "count", 1_750, 7));
}

#[test]
fn invalid_lines_among_valid_ones_are_counted() {
    check(
        b"main;load;parse 40\nmain;load;read 10\nmain;serve 50\nmain;serve;rend",
        1,
        Ok(("main;load;parse 40\nmain;load;read 10\nmain;serve 50\n", 1)),
    );
    check(b"a -1\na x\n 5\nb 1\n", 1, Ok(("b 1\n", 3)));
    let import = decode(b"a 1\nb\n", Format::Folded, &Options::default()).expect("valid");
    let skipped = Skipped {
        count: 1,
        first: Some((2, "no count after the stack")),
    };
    assert_eq!(import.skipped, skipped);
}

#[test]
fn input_without_a_valid_line_is_refused() {
    check(
        b"\nmain;work\nmain;idle\n",
        1,
        Err(
            "invalid folded stacks: line 2: no count after the stack; expected lines such as \"main;work 42\"",
        ),
    );
    check(
        b"a;b x",
        1,
        Err(
            "invalid folded stacks: line 1: the count is not a number; expected lines such as \"main;work 42\"",
        ),
    );
    check(
        b"a;b -1",
        1,
        Err(
            "invalid folded stacks: line 1: the count is negative; expected lines such as \"main;work 42\"",
        ),
    );
    check(
        b"# mode: wall\n",
        1,
        Err("invalid folded stacks: line 1: no stacks; expected lines such as \"main;work 42\""),
    );
    check(b"", 1, Err("empty body; expected a profile"));
}

#[test]
fn text_of_windows_and_names_with_control_characters_are_read() {
    let utf16: Vec<u8> = "main;work 70\r\nmain;idle 30\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check(
        &[&[0xff, 0xfe][..], &utf16].concat(),
        1,
        Ok(("main;work 70\nmain;idle 30\n", 0)),
    );
    check(&utf16, 1, Ok(("main;work 70\nmain;idle 30\n", 0)));
    check(
        b"\xef\xbb\xbfmain;work 70\nmain;idle 30",
        1,
        Ok(("main;work 70\nmain;idle 30\n", 0)),
    );
    let import = decode(
        b"i.php;class@anonymous\0/srv/S.php0x7f::parse 3\n",
        Format::Folded,
        &Options::default(),
    );
    let import = import.expect("valid");
    assert!(
        import.profiles[0]
            .profile
            .strings
            .iter()
            .any(|s| s == "class@anonymous\0/srv/S.php0x7f::parse")
    );
    check(b"a\xff;b 1\n", 1, Ok(("a\u{fffd};b 1\n", 0)));
}

#[test]
fn removed_line_breaks_are_recognized() {
    let glued = |input: &str| {
        let result = decode(input.as_bytes(), Format::Folded, &Options::default());
        matches!(result, Err(Error::Glued { .. }))
    };
    for input in [
        "java.lang.Thread.run;a.A.x 10java.lang.Thread.run;a.B.y 20java.lang.Thread.run;a.C.z 30",
        "a;b 10c;d 20e 5",
        "<module>;f 3<module>;g 4",
        "/srv/i.php;f 3/srv/i.php;g 4",
    ] {
        assert!(glued(input), "{input}");
    }
    for input in [
        "main;work 42",
        "main;std::array<int, 10ul>::at 3",
        "main;f(int, 3u);g 4",
        "main;[unknown] 0x7f12;g 4",
        "main;worker 2nd;g 4\n",
        "main;Thread 12 4",
    ] {
        assert!(!glued(input), "{input}");
    }
    let error = decode(b"a;b 10c;d 20", Format::Folded, &Options::default()).expect_err("glued");
    assert!(
        error
            .to_string()
            .ends_with("send the file with curl --data-binary"),
        "{error}"
    );
}

#[test]
fn deep_stack_keeps_root_and_leaf_and_the_other_samples() {
    let input = format!("main;{}leaf 5\nmain;other 7\n", "recurse;".repeat(30_000));
    let import = decode(input.as_bytes(), Format::Folded, &Options::default()).expect("valid");
    let text = text(&import);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    let (deep, other) = if lines[0].len() > 100 {
        (lines[0], lines[1])
    } else {
        (lines[1], lines[0])
    };
    assert_eq!(other, "main;other 7");
    assert_eq!(deep.split(';').count(), 16_384);
    assert!(
        deep.starts_with("main;recurse;recurse;") && deep.ends_with(";recurse;leaf 5"),
        "{deep:.80}"
    );
    assert_eq!(deep.matches(";(truncated);recurse;").count(), 1);
    // A stack of another depth is the same stack.
    let deeper = format!("{input}main;{}leaf 5\n", "recurse;".repeat(40_000));
    let import = decode(deeper.as_bytes(), Format::Folded, &Options::default()).expect("valid");
    assert_eq!(import.profiles[0].profile.sample_count(), 2);
}

#[test]
fn long_name_is_shortened_and_its_sample_kept() {
    let limits = Limits {
        string: 8,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let import = decode(
        "main;aääääää 5\nmain;b 1\n".as_bytes(),
        Format::Folded,
        &options,
    )
    .expect("valid");
    assert_eq!(text(&import), "main;aää… 5\nmain;b 1\n");
}

#[test]
fn limits_bound_samples_and_nodes() {
    let options = |limits| Options {
        limits,
        ..Options::default()
    };
    let check = |limits, expected: &str| {
        let error = decode(b"a;b 1\na;c 1\na;d 1\n", Format::Folded, &options(limits))
            .expect_err("too large");
        assert_eq!(error.to_string(), expected);
    };
    check(
        Limits {
            samples: 2,
            ..Limits::default()
        },
        "profile has 3 distinct stacks; the limit is 2; split it by time",
    );
    check(
        Limits {
            nodes: 3,
            ..Limits::default()
        },
        "profile has 4 distinct stack frames; the limit is 3; split it by time",
    );
    check(
        Limits {
            bytes: 3,
            ..Limits::default()
        },
        "profile exceeds 3 B, the limit for one profile, after decompression; split it by time",
    );
}

#[test]
fn lines_are_counted() {
    let options = Options {
        scale: 10,
        ..Options::default()
    };
    let import = decode(b"# x\na;b\r\na;b\n\na\n", Format::Lines, &options).expect("valid");
    assert_eq!(text(&import), "a 10\na;b 20\n");
    let error = decode(b"\n\n", Format::Lines, &options).expect_err("empty");
    assert_eq!(
        error.to_string(),
        "invalid lines of stacks: line 1: no stacks; expected one stack per line, such as \"main;work\""
    );
}

#[test]
fn idle_time_and_freed_memory_of_the_mode_full_are_left_out() {
    let input = b"# mode: full\nP;busy 3,0,7\nP;idle 5,1,0\nP;free 2,1,-9\n";
    let import = decode(input, Format::Folded, &Options::default()).expect("valid");
    let profiles: Vec<_> = import
        .profiles
        .iter()
        .map(|named| (&*named.name, &named.profile.samples.values[..]))
        .collect();
    let expected: [(&str, &[i64]); 3] = [
        ("process_cpu", &[3_000]),
        ("wall", &[3_000, 5_000, 2_000]),
        ("memory", &[7]),
    ];
    assert_eq!(profiles, expected);
}
