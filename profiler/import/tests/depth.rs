//! A stack of exactly the maximum depth is not truncated, in any format.

use davy_import::{Format, Options, decode};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits, folded};

fn check(input: &[u8], format: Format, expected: &str) {
    let options = Options {
        limits: Limits {
            depth: 3,
            ..Limits::default()
        },
        ..Options::default()
    };
    let import = decode(input, format, &options).expect("valid");
    let mut tree = FlameTree::new();
    tree.add_profile(&import.profiles[0].profile, 0, Grain::Function);
    assert_eq!(folded::encode(&tree), expected, "{format}");
}

#[test]
fn stack_is_truncated_only_above_the_maximum_depth() {
    let whole = "a;b;c 1\n";
    let truncated = "a;(truncated);d 1\n";
    check(b"a;b;c 1", Format::Folded, whole);
    check(b"a;b;c;d 1", Format::Folded, truncated);
    check(b"a;b;c", Format::Lines, whole);
    check(b"a;b;c;d", Format::Lines, truncated);
    check(
        b"\0\0\x01\x01a\0\x01\x01b\0\x01\x01c\x01\0",
        Format::Tree,
        whole,
    );
    let deeper = b"\0\0\x01\x01a\0\x01\x01b\0\x01\x01c\0\x01\x01d\x01\0";
    check(deeper, Format::Tree, truncated);
    check(b"\0\0\x01\x05a;b;c\x01\0", Format::Trie, whole);
    check(b"\0\0\x01\x07a;b;c;d\x01\0", Format::Trie, truncated);
    let perf = |frames: &str| format!("a 1 1.5: 7 cycles:\n{frames}\n");
    check(perf("\tf c\n\tf b\n").as_bytes(), Format::PerfScript, whole);
    check(
        perf("\tf d\n\tf c\n\tf b\n").as_bytes(),
        Format::PerfScript,
        truncated,
    );
    let speedscope = |stack: &str| {
        format!(
            r#"{{"shared":{{"frames":[{{"name":"a"}},{{"name":"b"}},{{"name":"c"}},{{"name":"d"}}]}},
                "profiles":[{{"type":"sampled","name":"","unit":"none","startValue":0,"endValue":1,"samples":[{stack}],"weights":[1]}}]}}"#
        )
    };
    check(speedscope("[0,1,2]").as_bytes(), Format::Speedscope, whole);
    check(
        speedscope("[0,1,2,3]").as_bytes(),
        Format::Speedscope,
        truncated,
    );
}
