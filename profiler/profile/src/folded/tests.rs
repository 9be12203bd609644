use super::*;
use crate::flame::Grain;

fn check(input: &str, expected: Result<&str, Error>) {
    let got = decode(input.as_bytes(), &Limits::default()).map(|profile| {
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        encode(&tree)
    });
    assert_eq!(got.as_deref(), expected.as_ref().map(|e| *e), "{input:?}");
}

#[test]
fn folded_stacks_survive_a_round_trip() {
    check("a;b;c 3\na;b 4\nx y;z 5\n", Ok("a;b 4\na;b;c 3\nx y;z 5\n"));
    check("\n\na 1\r\na 2", Ok("a 3\n"));
    check("a;b  3\n", Ok("a;b 3\n"));
    check("# x\n#\n## 7\na 1\n", Ok("a 1\n"));
    check("#<Class:0x1>;f 3\n", Ok("#<Class:0x1>;f 3\n"));
    check("\u{feff}a 1\n", Ok("a 1\n"));
    check("\u{feff}\u{feff}a 1\n", Ok("\u{feff}\u{feff}a 1\n"));
    check(
        "/srv/mediawiki/w/index.php;A::b;{closure:/p/f.php(5)} 1",
        Ok("/srv/mediawiki/w/index.php;A::b;{closure:/p/f.php(5)} 1\n"),
    );
}

#[test]
fn names_are_escaped_only_where_they_would_not_survive() {
    let check = |name: &str, escaped: &str| {
        assert_eq!(escape(name), escaped);
        assert_eq!(unescape(escaped), name);
    };
    for unchanged in [
        "",
        "main",
        "100%",
        "a%20b",
        "GET /a%2Fb%3b",
        "%",
        "%2",
        "App\\Http\\n::x3b",
        "worker 7",
        "worker 1.5 7",
        "#<Class:0x1>",
        "a#",
        "f_[k]",
        "a  b\tc",
        "\u{85}\u{a0}\u{1b}",
        "no stack",
        "(no stack) ",
        "\u{1f980}",
    ] {
        let expected = if unchanged == "(no stack) " {
            "(no stack)%20"
        } else {
            unchanged
        };
        check(unchanged, expected);
    }
    check("[u8; 8]", "[u8%3B 8]");
    check("a\nb\rc\0", "a%0Ab%0Dc%00");
    check(" a ", "%20a%20");
    check("\ta\t", "%09a%09");
    check(" ", "%20");
    check("   ", "%20 %20");
    check("%3B", "%253B");
    check("%25", "%2525");
    check("%;", "%%3B");
    check("%3;", "%3%3B");
    check("%%20", "%%2520");
    check("%20", "%2520");
    check("x%20", "x%2520");
    check("%20x", "%2520x");
    check("(no stack)", "%28no stack)");
    check("%28no stack)", "%2528no stack)");
    check("%28", "%28");
    check("#", "%23");
    check("# comment", "%23 comment");
    check("## ", "%23#%20");
    check("%23", "%2523");
    check("a%23", "a%23");
}

#[test]
fn samples_without_a_stack_and_negative_values_survive_a_round_trip() {
    check("(no stack) 7\na -3\n", Ok("(no stack) 7\na -3\n"));
    check(
        "(no stack);a 1\n%28no stack) 2",
        Ok("%28no stack) 2\n%28no stack);a 1\n"),
    );
    let profile = decode(b"a 1\n(no stack) 7", &Limits::default()).expect("decode the stacks");
    let mut tree = FlameTree::new();
    tree.add_profile(&profile, 0, Grain::Function);
    assert_eq!((tree.values[0], tree.stacks.len()), (7, 2));
}

/// A xorshift generator: the same trees in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn name(&mut self) -> String {
        const PARTS: [&str; 33] = [
            ";",
            " ",
            "\t",
            "\n",
            "\r",
            "\0",
            "%",
            "%3B",
            "%20",
            "%09",
            "%25",
            "%28",
            "3B",
            "0A",
            "20",
            "5",
            "a",
            "b",
            "\\",
            "(no stack)",
            "no stack)",
            "7",
            "-1",
            "\u{a0}",
            "\u{85}",
            "#",
            "# ",
            "%23",
            "\u{feff}",
            "_[k]",
            "\u{1f980}",
            "\u{202e}",
            "\u{1b}",
        ];
        (0..self.below(6))
            .map(|_| PARTS[self.below(PARTS.len())])
            .collect()
    }
}

#[test]
fn random_trees_survive_encoding_and_decoding() {
    for seed in 1..500 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut tree = FlameTree::new();
        for _ in 0..40 {
            let parent = random.below(tree.stacks.len()) as u32;
            let name = random.name();
            let frame = tree.named_frame(&name, crate::FrameKind::Function);
            let node = tree.child(NodeId(parent), frame);
            tree.add(node, random.below(100) as i64 - 50);
        }
        tree.add(NodeId::ROOT, random.below(3) as i64 - 1);
        let text = encode(&tree);
        let profile = decode(text.as_bytes(), &Limits::default()).expect("decode the stacks");
        let mut back = FlameTree::new();
        back.add_profile(&profile, 0, Grain::Function);
        assert_eq!(
            back.values_by_stack(),
            tree.values_by_stack(),
            "seed {seed}:\n{text}"
        );
    }
}

/// The value of each stack by the names of its frames.
#[test]
fn size_is_known_before_the_text_is_built() {
    let check = |text: &str| {
        let profile = decode(text.as_bytes(), &Limits::default()).expect("decode the stacks");
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 0, Grain::Function);
        assert_eq!(encode(&tree), text);
        assert_eq!(encoded_bytes(&tree), text.len() as u64);
    };
    check("main 1\nmain;work 2\nmain;work;io 3\nother;x 4\n");
    let deep = |depth: usize| format!("{}f 1\n", "f;".repeat(depth));
    check(&(0..500).map(deep).collect::<String>());
}

#[test]
fn errors_name_the_invalid_line() {
    check(
        "a 1\nb",
        Err(Error::Folded {
            line: 2,
            problem: "no count after the stack",
        }),
    );
    check(
        "a 1\n 5",
        Err(Error::Folded {
            line: 2,
            problem: "no stack before the count",
        }),
    );
    check(
        "a;b x",
        Err(Error::Folded {
            line: 1,
            problem: "the count is not a whole number",
        }),
    );
    check(
        "a;b 99999999999999999999",
        Err(Error::Folded {
            line: 1,
            problem: "the count is not a whole number",
        }),
    );
    check(
        "\n",
        Err(Error::Folded {
            line: 1,
            problem: "no stacks",
        }),
    );
}

#[test]
fn stack_of_a_million_frames_is_too_deep() {
    let line = format!("{}x 1", "x;".repeat(1_000_000));
    let error = decode(line.as_bytes(), &Limits::default()).expect_err("too deep");
    assert!(
        matches!(
            error,
            Error::TooDeep {
                depth: 1_000_001,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn each_limit_is_exact() {
    let check = |change: fn(&mut Limits), good: &str, bad: &str| {
        let mut limits = Limits::default();
        change(&mut limits);
        let decode = |text: &str| decode(text.as_bytes(), &limits);
        assert!(decode(good).is_ok(), "{good}");
        assert!(decode(bad).is_err(), "{bad}");
    };
    check(|limits| limits.bytes = 3, "a 1", "a 11");
    check(|limits| limits.samples = 2, "a 1\nb 1", "a 1\nb 1\na 1");
    check(|limits| limits.depth = 2, "a;b 1", "a;b;c 1");
    // The root counts.
    check(|limits| limits.nodes = 3, "a;b 1", "a;b;c 1");
    check(|limits| limits.string = 2, "ab 1", "abc 1");
}
