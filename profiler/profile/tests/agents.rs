//! Round trips of profiles from real profilers of six languages, compared by `go tool pprof`.
//!
//! `agents/make/make.sh` generates the profiles.

use davy_profile::{LabelValue, Limits, Profile, gzip, pprof};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checked-in profile and what it contains.
struct Agent {
    name: &'static str,
    sample_types: &'static str,
    /// Keys of the labels with text values.
    texts: &'static str,
    /// Keys of the labels with numeric values.
    numbers: &'static str,
}

const fn agent(
    name: &'static str,
    sample_types: &'static str,
    texts: &'static str,
    numbers: &'static str,
) -> Agent {
    Agent {
        name,
        sample_types,
        texts,
        numbers,
    }
}

const AGENTS: [Agent; 10] = [
    agent(
        "go-cpu",
        "samples/count cpu/nanoseconds",
        "member operation",
        "",
    ),
    agent("go-goroutine", "goroutine/count", "worker", ""),
    agent(
        "go-heap",
        "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes",
        "",
        "bytes",
    ),
    agent("java-alloc", "allocations/bytes", "thread", ""),
    agent("java-cpu", "cpu/count", "thread", ""),
    agent("node-heap", "inuse_objects/count inuse_space/bytes", "", ""),
    agent(
        "node-wall",
        "sample/count wall/nanoseconds cpu/nanoseconds",
        "operation",
        "",
    ),
    agent("python-cpu", "cpu/nanoseconds", "operation", ""),
    agent("ruby-wall", "wall/nanoseconds", "", "pid thread_id"),
    agent("rust-cpu", "samples/count cpu/nanoseconds", "thread", ""),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents")
}

impl Agent {
    fn path(&self) -> PathBuf {
        folder().join(format!("{}.pb.gz", self.name))
    }

    /// The profile as its profiler wrote it, decompressed.
    fn bytes(&self) -> Vec<u8> {
        let packed = std::fs::read(self.path()).expect("the profile is checked in");
        let unpacked = gzip::unpack(&packed, &Limits::default());
        unpacked.expect("the profile is gzip").into_owned()
    }
}

fn decode(name: &str, bytes: &[u8]) -> Profile {
    pprof::decode(bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The output of `go tool pprof -raw`.
fn raw(scratch: &Path, profile: &Path) -> String {
    let output = Command::new("go")
        .args(["tool", "pprof", "-raw", "-symbolize=none"])
        .arg(profile)
        // Keeps pprof from finding the programs and adding their symbols.
        .env("PPROF_BINARY_PATH", scratch)
        .env("PPROF_TMPDIR", scratch)
        .current_dir(scratch)
        .output()
        .expect("this test needs `go tool pprof`: install Go (Debian: apt-get install golang-go)");
    assert!(
        output.status.success(),
        "`go tool pprof` failed on {}: {}",
        profile.display(),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("pprof prints UTF-8")
}

/// Reports the first differing line only, since a whole profile is too long to read.
fn assert_same_text(name: &str, before: &str, after: &str) {
    for (number, (before, after)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(before, after, "{name}: line {} of pprof's text", number + 1);
    }
    assert_eq!(before, after, "{name}: one text is longer");
}

#[test]
fn go_tool_pprof_prints_the_same_text_after_a_round_trip() {
    let scratch = tempfile::tempdir().expect("create a temporary folder");
    for agent in &AGENTS {
        let again = scratch.path().join(format!("{}.pb.gz", agent.name));
        let profile = decode(agent.name, &agent.bytes());
        let packed = gzip::compress(&pprof::encode(&profile));
        std::fs::write(&again, packed).expect("write to the temporary folder");
        let before = raw(scratch.path(), &agent.path());
        let after = raw(scratch.path(), &again);
        let rows = before.lines().skip_while(|line| *line != "Samples:");
        let rows = rows
            .take_while(|line| *line != "Locations")
            .filter(|line| is_sample(line));
        assert_eq!(rows.count(), profile.sample_count(), "{}", agent.name);
        assert_same_text(agent.name, &before, &after);
    }
}

/// Whether a line of pprof's output has values, a colon and locations, rather than labels.
fn is_sample(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(values, locations)| {
        let mut words = values
            .split_whitespace()
            .chain(locations.split_whitespace());
        words.all(|word| word.parse::<i64>().is_ok())
    })
}

#[test]
fn second_round_trip_changes_no_byte() {
    for agent in &AGENTS {
        let once = pprof::encode(&decode(agent.name, &agent.bytes()));
        let twice = pprof::encode(&decode(agent.name, &once));
        assert!(once == twice, "{}", agent.name);
    }
}

/// Contents of an encoded profile, counted independently of the codec under test.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Sum of the values of each sample type.
    totals: Vec<i128>,
    samples: usize,
    frames: usize,
    labels: usize,
    /// Sum of the numeric label values.
    label_numbers: i128,
    /// Sum of the line numbers.
    line_numbers: i128,
    mappings: usize,
    locations: usize,
    lines: usize,
    functions: usize,
}

/// A field: its number, and its varint (`Ok`) or bytes (`Err`).
type Field<'a> = (u64, Result<u64, &'a [u8]>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    let digits = number.iter().rev();
    digits.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        fields.push(match key & 7 {
            0 => (key >> 3, Ok(value)),
            2 => {
                let (message, rest) = bytes.split_at(value as usize);
                bytes = rest;
                (key >> 3, Err(message))
            }
            wire_type => panic!("unexpected wire type {wire_type}"),
        });
    }
    fields
}

/// Numbers of a repeated field, packed or not.
fn numbers(fields: &[Field<'_>], field: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (_, value) in fields.iter().filter(|(number, _)| *number == field) {
        match *value {
            Ok(number) => numbers.push(number),
            Err(mut packed) => {
                while !packed.is_empty() {
                    numbers.push(varint(&mut packed));
                }
            }
        }
    }
    numbers
}

fn messages<'a>(all: &[Field<'a>], field: u64) -> Vec<Vec<Field<'a>>> {
    let found = all.iter().filter(|(number, _)| *number == field);
    found
        .filter_map(|(_, value)| value.err().map(fields))
        .collect()
}

/// Sum of a field's numbers, which are signed in pprof.
fn sum(message: &[Field<'_>], field: u64) -> i128 {
    let values = numbers(message, field).into_iter();
    values.map(|value| i128::from(value as i64)).sum()
}

fn tally(bytes: &[u8]) -> Tally {
    let profile = fields(bytes);
    let (samples, locations) = (messages(&profile, 2), messages(&profile, 4));
    let mut tally = Tally {
        totals: vec![0; messages(&profile, 1).len()],
        samples: samples.len(),
        mappings: messages(&profile, 3).len(),
        locations: locations.len(),
        functions: messages(&profile, 5).len(),
        ..Tally::default()
    };
    for sample in &samples {
        tally.frames += numbers(sample, 1).len();
        for (total, value) in tally.totals.iter_mut().zip(numbers(sample, 2)) {
            *total += i128::from(value as i64);
        }
        for label in messages(sample, 3) {
            tally.labels += 1;
            tally.label_numbers += sum(&label, 3);
        }
    }
    for line in locations.iter().flat_map(|location| messages(location, 4)) {
        tally.lines += 1;
        tally.line_numbers += sum(&line, 2);
    }
    tally
}

#[test]
fn encoded_contents_have_the_same_counts_and_totals_after_a_round_trip() {
    for agent in &AGENTS {
        let bytes = agent.bytes();
        let before = tally(&bytes);
        let profile = decode(agent.name, &bytes);
        assert_eq!(profile.sample_count(), before.samples, "{}", agent.name);
        assert_eq!(tally(&pprof::encode(&profile)), before, "{}", agent.name);
        let has_all = before.samples > 0 && before.line_numbers > 0;
        assert!(
            has_all && before.totals.iter().all(|t| *t > 0),
            "{before:?}"
        );
    }
}

#[test]
fn each_profile_has_the_declared_sample_types_and_labels() {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("list the folder of profiles")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".pb.gz").map(str::to_owned))
        .collect();
    files.sort();
    assert_eq!(files, AGENTS.map(|agent| agent.name));

    for agent in &AGENTS {
        let profile = decode(agent.name, &agent.bytes());
        let types = profile.sample_types.iter();
        let types: Vec<_> = types
            .map(|t| format!("{}/{}", profile.text(t.kind), profile.text(t.unit)))
            .collect();
        assert_eq!(types.join(" "), agent.sample_types, "{}", agent.name);

        let (mut texts, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for set in &profile.samples.labels {
            for label in profile.label_sets.get(*set) {
                match label.value {
                    LabelValue::Text(_) => texts.insert(profile.text(label.key)),
                    LabelValue::Number(..) => numbers.insert(profile.text(label.key)),
                };
            }
        }
        let keys = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(keys(texts), agent.texts, "{}", agent.name);
        assert_eq!(keys(numbers), agent.numbers, "{}", agent.name);
    }
}
