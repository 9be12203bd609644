use crate::outline::outline;
use crate::{Format, Options, decode, detect};
use davy_profile::Limits;

fn node(name: &str, size: i64, children: &str) -> String {
    format!(
        r#"{{"callFrame":{{"functionName":"{name}","scriptId":"1","url":"","lineNumber":-1,"columnNumber":-1}},
            "selfSize":{size},"id":1,"children":[{children}]}}"#
    )
}

fn check(input: &str, options: &Options<'_>, expected: &str) {
    let got = decode(input.as_bytes(), Format::HeapProfile, options);
    let got = got.map_or_else(|error| error.to_string(), |import| outline(&import));
    assert_eq!(got, expected);
}

#[test]
fn sizes_belong_to_the_path_of_the_node() {
    let inner = [node("a", 0, &node("", 70, "")), node("b", 5, "")].join(",");
    let input = format!(
        r#"{{"head":{},"samples":[{{"size":70,"nodeId":3,"ordinal":1}}]}}"#,
        node("(root)", 0, &inner)
    );
    assert_eq!(detect(input.as_bytes()), Ok(Format::HeapProfile));
    check(
        &input,
        &Options::default(),
        "[memory inuse_space:bytes]\na;(anonymous) 70\nb 5\n",
    );
    check("{}", &Options::default(), "invalid heap profile: no head");
}

#[test]
fn deep_tree_is_truncated() {
    let mut input = node("leaf", 1, "");
    for _ in 0..2_000 {
        let at = "{\"callFrame\":{\"functionName\":\"r\"},\"selfSize\":1,\"children\":[";
        input = format!("{at}{input}]}}");
    }
    let limits = Limits {
        depth: 4,
        ..Limits::default()
    };
    check(
        &format!("{{\"head\":{input}}}"),
        &Options {
            limits,
            ..Options::default()
        },
        "[memory inuse_space:bytes]\nr 1\nr;r 1\nr;r;r 1\nr;r;r;r 1\nr;(truncated);r;r 1996\nr;(truncated);r;leaf 1\n",
    );
}

#[test]
fn children_may_precede_the_call_frame() {
    let input = r#"{"head":{"children":[{"selfSize":3,"callFrame":{"functionName":"f"}}],"callFrame":{"functionName":"main"}}}"#;
    check(
        input,
        &Options::default(),
        "[memory inuse_space:bytes]\nmain;f 3\n",
    );
}
