//! The documented Content-Security-Policy.

use base64::Engine;
use davy_archive::query::svg;
use sha2::{Digest, Sha256};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/docs/flamegraphs.md");

fn source(text: &str) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!("'sha256-{hash}'")
}

#[test]
fn documented_policy_admits_the_script_and_the_styles_that_are_written() {
    let guide = std::fs::read_to_string(GUIDE).expect("the guide");
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {} {}; base-uri 'none'; form-action 'none'",
        source(svg::SCRIPT),
        source(svg::STYLE),
        source(davy_render::PAGE_STYLE)
    );
    assert!(
        guide.contains(&expected),
        "the guide should contain\n{expected}"
    );
}

#[test]
fn policy_of_a_query_admits_the_script_and_the_style_of_a_drawing() {
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(svg::SCRIPT),
        source(svg::STYLE)
    );
    assert_eq!(svg::POLICY, expected);
}

#[test]
fn nothing_but_these_needs_a_policy() {
    let mut tree = davy_profile::FlameTree::new();
    let frame = tree.named_frame("main", davy_profile::FrameKind::Function);
    let node = tree.child(davy_profile::NodeId::ROOT, frame);
    tree.add(node, 1);
    let drawing = svg::svg(&tree, "a title", "count").expect("drawn");
    let text = String::from_utf8(drawing).expect("UTF-8");
    let (before, _) = text.split_once("<script>").expect("a script");
    assert!(
        !before.contains(" style=") && !before.contains(" on"),
        "{before}"
    );
    assert_eq!(
        (
            text.matches("<script").count(),
            text.matches("<style").count()
        ),
        (1, 1)
    );
}
