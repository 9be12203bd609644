//! Folded stacks that Davy exported are imported as the same stacks.

use davy_base::Random;
use davy_import::{Format, Options, decode};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, FrameKind, NodeId, Profile, folded};

const PARTS: [&str; 34] = [
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
    "%23",
    "3B",
    "0A",
    "20",
    "5",
    "a",
    "b",
    "\\",
    "(no stack)",
    "no stack)",
    " 7",
    " -1",
    " 1.5",
    "\u{a0}",
    "\u{85}",
    "#",
    "# mode: wall",
    "\u{feff}",
    "_[k]",
    "\u{1f980}",
    "\u{202e}",
    "\u{1b}",
];

fn name(random: &mut Random) -> String {
    (0..random.below(6))
        .map(|_| PARTS[random.below(PARTS.len() as u64) as usize])
        .collect()
}

fn tree(profile: &Profile) -> FlameTree {
    let mut tree = FlameTree::new();
    tree.add_profile(profile, 0, Grain::Function);
    tree
}

#[test]
fn random_names_survive_export_and_import() {
    for seed in 0..500 {
        let mut random = Random::seeded(seed);
        let mut exported = FlameTree::new();
        for _ in 0..40 {
            let parent = NodeId(random.below(exported.stacks.len() as u64) as u32);
            let frame = exported.named_frame(&name(&mut random), FrameKind::Function);
            let node = exported.child(parent, frame);
            exported.add(node, 1 + random.below(100) as i64);
        }
        exported.add(NodeId::ROOT, random.below(3) as i64);
        let text = folded::encode(&exported);
        let import = decode(text.as_bytes(), Format::Folded, &Options::default());
        let import = import.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        assert_eq!(import.skipped.summary(), None, "seed {seed}:\n{text}");
        let [one] = &import.profiles[..] else {
            panic!("seed {seed}: {} profiles", import.profiles.len());
        };
        let again = folded::encode(&tree(&one.profile));
        assert_eq!(again, text, "seed {seed}");
    }
}

#[test]
fn both_decoders_of_folded_stacks_read_the_same() {
    let check = |input: &str, expected: &str| {
        let options = Options::default();
        let import = decode(input.as_bytes(), Format::Folded, &options).expect("valid");
        let imported = folded::encode(&tree(&import.profiles[0].profile));
        assert_eq!(imported, expected, "{input}");
        let decoded = folded::decode(input.as_bytes(), &options.limits).expect("valid");
        assert_eq!(folded::encode(&tree(&decoded)), expected, "{input}");
    };
    check("[u8%3B 8];f 3\n", "[u8%3B 8];f 3\n");
    check("(no stack) 7\na 1\n", "(no stack) 7\na 1\n");
    check("%23 mode: wall;f 3\n", "%23 mode: wall;f 3\n");
    check("# hand made\n#\n##\na 3\n", "a 3\n");
    check("\u{feff}a;b  3\r\n", "a;b 3\n");
    // Other percent signs of other profilers are part of the name.
    check(
        "GET /a%2Fb%3bc?x=100%;a%20b 3\n",
        "GET /a%2Fb%3bc?x=100%;a%20b 3\n",
    );
}

#[test]
fn escapes_are_read_in_every_mode_of_austin() {
    let check = |input: &str| {
        let import = decode(input.as_bytes(), Format::Folded, &Options::default()).expect("valid");
        for named in &import.profiles {
            let has = |name| named.profile.strings.iter().any(|text| text == name);
            assert!(has("a;b") && !has("a%3Bb"), "{}", named.name);
        }
    };
    check("# mode: wall\nP1;a%3Bb 3\n");
    check("# mode: full\nP1;a%3Bb 3,0,7\n");
}

#[test]
fn lines_format_does_not_unescape_names() {
    let import = decode(b"a%3Bb;(no stack)\n", Format::Lines, &Options::default()).expect("valid");
    let strings = &import.profiles[0].profile.strings;
    assert!(strings.iter().any(|text| text == "a%3Bb"));
}
