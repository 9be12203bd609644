//! Damaged inputs of every format never panic, and their profiles stay within the limits.

use davy_import::{Format, Options, decode, detect};
use davy_profile::{LabelSetId, Limits, Profile, gzip, pprof};

/// Random numbers from a seed.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn pprof() -> Vec<u8> {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    let locations = [
        profile.named_location("main"),
        profile.named_location("work"),
    ];
    let stack = profile.stack(locations);
    profile.add_sample(stack, LabelSetId(0), &[7]);
    pprof::encode(&profile)
}

fn samples() -> Vec<(Format, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let austin = "# austin: 3.6.0\n# interval: 100\n# mode: wall\n\nP7;T7;a.py:f:1 250\nP7;T7;a.py:g:2 1.5e1\n# duration: 9\n";
    let speedscope = r#"{"$schema":"https://www.speedscope.app/file-format-schema.json","shared":{"frames":[{"name":"a\u00e9"},{"name":"b","file":"f","line":1}]},"profiles":[{"type":"evented","name":"t","unit":"milliseconds","startValue":0,"endValue":9,"events":[{"type":"O","frame":0,"at":1},{"type":"O","frame":1,"at":2.5},{"type":"C","frame":1,"at":4},{"type":"C","frame":0,"at":5}]},{"type":"sampled","name":"s","unit":"bytes","startValue":0,"endValue":2,"samples":[[0,1],[0]],"weights":[1,2]}]}"#;
    let cpu = r#"{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","url":"","lineNumber":-1,"columnNumber":-1},"children":[2]},{"id":2,"callFrame":{"functionName":"f","url":"a.js","lineNumber":3,"columnNumber":1},"hitCount":2}],"startTime":10,"endTime":90,"samples":[2,2],"timeDeltas":[5,7]}"#;
    let heap = r#"{"head":{"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},"selfSize":0,"children":[{"callFrame":{"functionName":"f","url":"a.js","lineNumber":3},"selfSize":77,"children":[]}]}}"#;
    let perf = "a b 1/2 [001] 7.5:  10 cycles:u: \n\tffff f(int)+0x1 (/bin/x)\n\t7f [unknown] (/lib/c.so)\n\n";
    let trie = b"\0\0\x02\x05main;\0\x02\x03wor\0\x01\x01k\x05\0\x02io\x08\0\x01x\x09\0".to_vec();
    let tree = b"\0\0\x02\x04main\x01\x02\x01a\x02\0\x01b\xac\x02\0\x04idle\x04\0".to_vec();
    vec![
        (Format::Pprof, pprof()),
        (
            Format::Folded,
            text("main;work 40\nmain;io 2.5\nmain;x 1e3\n"),
        ),
        (Format::Folded, text(austin)),
        (Format::Lines, text("main;work\nmain;io\n")),
        (Format::Tree, tree),
        (Format::Trie, trie),
        (Format::Speedscope, text(speedscope)),
        (Format::CpuProfile, text(cpu)),
        (Format::HeapProfile, text(heap)),
        (Format::PerfScript, text(perf)),
    ]
}

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    ratio: 100,
    samples: 1_000,
    depth: 16,
    nodes: 50_000,
    string: 64,
};

/// Decodes bytes; fails if the result exceeds the limits. Returns whether they were accepted.
fn try_decode(bytes: &[u8], format: Format) -> bool {
    let options = Options {
        limits: LIMITS,
        scale: 10,
        ..Options::default()
    };
    // It must return; the format may be any.
    let _ = detect(bytes);
    let Ok(import) = decode(bytes, format, &options) else {
        return false;
    };
    for named in &import.profiles {
        let profile = &named.profile;
        assert!(
            profile.sample_count() <= LIMITS.samples,
            "{format:?}: samples"
        );
        assert!(profile.stacks.len() <= LIMITS.nodes, "{format:?}: nodes");
        assert!(
            profile.strings.iter().all(|s| s.len() <= LIMITS.string),
            "{format:?}: names"
        );
        let depth = |stack| profile.stacks.leaf_to_root(stack).count();
        let deepest = profile
            .samples
            .stacks
            .iter()
            .map(|s| depth(*s))
            .max()
            .unwrap_or(0);
        assert!(deepest <= LIMITS.depth, "{format:?}: depth {deepest}");
        assert!(
            profile.samples.values.iter().all(|v| *v >= 0),
            "{format:?}: values"
        );
    }
    true
}

fn mutate(bytes: &[u8], random: &mut Xorshift) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => {
                bytes[at] =
                    [0, 0xff, 0x7f, 0x80, b'"', b'{', b'[', b';', b'\n', b'9'][random.below(10)]
            }
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, random.below(256) as u8),
            4 => {
                let end = at + random.below(bytes.len() - at);
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

fn damage(format: Format, bytes: &[u8], rounds: usize) {
    assert!(try_decode(bytes, format), "{format:?} is valid");
    // Each prefix of a small input, and some of a large one.
    for end in (0..bytes.len()).step_by(bytes.len() / 2_000 + 1) {
        try_decode(&bytes[..end], format);
    }
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64);
    for _ in 0..rounds {
        try_decode(&mutate(bytes, &mut random), format);
    }
}

#[test]
fn damaged_inputs_are_decoded_within_the_limits_or_refused() {
    for (format, bytes) in samples() {
        if format != Format::Lines {
            assert_eq!(detect(&bytes), Ok(format));
        }
        damage(format, &bytes, 5_000);
    }
}

#[test]
fn damaged_recordings_are_decoded_within_the_limits_or_refused() {
    let wide = Limits {
        samples: 100_000,
        nodes: 400_000,
        ..LIMITS
    };
    for bytes in [
        &include_bytes!("data/agent.jfr.gz")[..],
        include_bytes!("data/async-profiler.jfr.gz"),
        include_bytes!("data/jdk.jfr.gz"),
    ] {
        let bytes = gzip::unpack(bytes, &wide).expect("valid gzip");
        damage(Format::Jfr, &bytes, 1_000);
    }
    let labels = gzip::unpack(include_bytes!("data/agent.labels.gz"), &wide).expect("valid gzip");
    let recording = include_bytes!("data/async-profiler.jfr.gz");
    let mut random = Xorshift(7);
    for _ in 0..200 {
        let labels = mutate(&labels, &mut random);
        // It must return, with any result.
        let _ = decode(
            recording,
            Format::Jfr,
            &Options {
                labels: &labels,
                ..Options::default()
            },
        );
    }
    for (format, text) in [
        (Format::CpuProfile, include_str!("data/node.cpuprofile")),
        (Format::HeapProfile, include_str!("data/node.heapprofile")),
        (Format::PerfScript, include_str!("data/perf-script.txt")),
        (
            Format::Speedscope,
            include_str!("data/py-spy.speedscope.json"),
        ),
        (Format::Folded, include_str!("data/austin-wall.txt")),
        (Format::Folded, include_str!("data/austin-full.txt")),
    ] {
        damage(format, text.as_bytes(), 300);
    }
}

#[test]
fn input_of_every_other_format_is_decoded_within_the_limits_or_refused() {
    let samples = samples();
    for (_, bytes) in &samples {
        for (format, _) in &samples {
            try_decode(bytes, *format);
        }
        try_decode(bytes, Format::Jfr);
    }
}
