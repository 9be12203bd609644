//! `go tool pprof` reads the same from an export as from what real agents pushed.

use crate::support::World;
use davy_profile::{LabelSetId, Limits, Mapping, Profile, gzip, pprof};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What `go tool pprof -raw` prints of a profile, without what may differ: the numbers of locations and mappings,
/// the order of samples, and samples of no value.
#[derive(Debug, PartialEq)]
struct Raw {
    /// Period, time, duration, and so on.
    facts: Vec<String>,
    /// Sample types.
    types: String,
    /// Values by stack and labels.
    samples: BTreeMap<String, Vec<i64>>,
    /// Mappings, the program's first.
    mappings: Vec<String>,
}

fn raw(file: &Path) -> Raw {
    let folder = file.parent().expect("a folder");
    let output = Command::new("go")
        .args(["tool", "pprof", "-raw", "-symbolize=none"])
        .arg(file)
        // Keeps pprof from finding the programs and adding their symbols.
        .env("PPROF_BINARY_PATH", folder)
        .env("PPROF_TMPDIR", folder)
        .current_dir(folder)
        .output()
        .expect("this test needs `go tool pprof`: install Go (Debian: apt-get install golang-go)");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (head, rest) = text.split_once("Samples:\n").expect("samples");
    let (samples, rest) = rest.split_once("\nLocations\n").expect("locations");
    let (locations, mappings) = rest.split_once("\nMappings\n").unwrap_or((rest, ""));
    let mut in_order: Vec<String> = mappings
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.1.trim().to_owned()))
        .filter(|mapping| mapping != "0x0/0x0/0x0")
        .collect();
    if let Some((_, others)) = in_order.split_first_mut() {
        others.sort_unstable();
    }
    let mappings: BTreeMap<&str, &str> = mappings
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    // A location has one line for each function; those after the first are indented further.
    let mut by_id: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = "";
    for line in locations.lines() {
        if let Some((id, rest)) = line
            .split_once(": ")
            .filter(|(id, _)| id.trim().parse::<u64>().is_ok())
        {
            last = id.trim();
            let words = rest.split_whitespace().filter_map(|word| {
                let Some(mapping) = word.strip_prefix("M=") else {
                    return Some(word.to_owned());
                };
                // pprof makes one up for a profile without mappings.
                let mapping = mappings[mapping].trim();
                (mapping != "0x0/0x0/0x0").then(|| format!("[{mapping}]"))
            });
            by_id.insert(last, words.collect::<Vec<_>>().join(" "));
        } else {
            let location = by_id.get_mut(last).expect("a location");
            location.push_str(" < ");
            location.push_str(line.trim());
        }
    }
    let mut lines = samples.lines().peekable();
    let types = lines.next().expect("sample types").trim().to_owned();
    let mut merged: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while let Some(line) = lines.next() {
        let (values, stack) = line.split_once(':').expect("values and a stack");
        let values: Vec<i64> = values
            .split_whitespace()
            .map(|value| value.parse().expect("a number"))
            .collect();
        let stack = stack.split_whitespace().map(|id| by_id[id].as_str());
        let mut key = stack.collect::<Vec<_>>().join("\n");
        while let Some(labels) = lines.next_if(|line| line.trim_start().contains(":[")) {
            key.push('\n');
            key.push_str(labels.trim());
        }
        let sums = merged.entry(key).or_insert_with(|| vec![0; values.len()]);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    merged.retain(|_, values| values.iter().any(|value| *value != 0));
    Raw {
        facts: head.lines().map(str::to_owned).collect(),
        types,
        samples: merged,
        mappings: in_order,
    }
}

/// The edges of the call graph that profile-guided optimization of Go uses, with their weights.
fn call_edges(file: &Path) -> String {
    let output = Command::new("go")
        .args(["tool", "preprofile", "-i"])
        .arg(file)
        .output()
        .expect("this test needs Go 1.23 or later");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn go_tool_pprof_reads_the_same_before_and_after() {
    let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiler/profile/tests/agents");
    let scratch = tempfile::tempdir().expect("a folder");
    let mut count = 0;
    for entry in std::fs::read_dir(agents).expect("recorded profiles") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !name.ends_with(".pb.gz") {
            continue;
        }
        count += 1;
        let bytes = std::fs::read(&path).expect("a file");
        let limits = Limits::default();
        let profile = gzip::unpack(&bytes, &limits).expect("gzip");
        let profile = pprof::decode(&profile, &limits).expect("pprof");
        let world = World::new();
        let labels = [("service_name", "s"), ("__name__", "p")];
        let (status, answer) = world.push("", &labels, "", &bytes).await;
        assert_eq!(status, 200, "{name}: {answer}");
        let range = match profile.time_nanos / 1_000_000 {
            0 => world.range("type=p:*"),
            time => format!("from={}&until={}&type=p:*", time - 1_000, time + 1_000),
        };
        let path_of = format!("/api/v1/profiles/pprof?{range}");
        let (status, export) = world.get_as("anonymous", &path_of).await;
        assert_eq!(status, 200, "{name}: {}", String::from_utf8_lossy(&export));
        let after = scratch.path().join(&name);
        std::fs::write(&after, export).expect("written");
        if name == "go-cpu.pb.gz" {
            let edges = call_edges(&path);
            assert!(edges.len() > 100, "{edges}");
            assert_eq!(call_edges(&after), edges);
        }
        let (before, after) = (raw(&path), raw(&after));
        assert_eq!(before.types, after.types, "{name}");
        // A profile without a time gets the time of its arrival.
        let is_arrival = |fact: &&String| profile.time_nanos == 0 && fact.starts_with("Time: ");
        let facts = after.facts.iter().filter(|fact| !is_arrival(fact));
        assert!(before.facts.iter().eq(facts), "{name}: {after:?}");
        for (stack, values) in &before.samples {
            assert_eq!(after.samples.get(stack), Some(values), "{name}: {stack}");
        }
        assert_eq!(before.samples.len(), after.samples.len(), "{name}");
    }
    assert!(count >= 10, "{count} recorded profiles");
}

#[tokio::test]
async fn program_without_samples_of_its_own_stays_the_first_mapping() {
    let world = World::new();
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    profile.time_nanos = world.clock.now().nanos();
    for (at, (file, build_id)) in [
        ("/bin/app", "aa"),
        ("/lib/libm.so", "cc"),
        ("/lib/libc.so", "bb"),
    ]
    .into_iter()
    .enumerate()
    {
        let mapping = Mapping {
            start: 0x40_0000 + at as u64 * 0x10_0000,
            limit: 0x48_0000 + at as u64 * 0x10_0000,
            file: profile.strings.intern(file),
            build_id: profile.strings.intern(build_id),
            ..Mapping::default()
        };
        profile.mappings.push(mapping);
    }
    let location = profile.location(Some(2), 0x60_0010, &[]);
    let stack = profile.stack([location]);
    profile.add_sample(stack, LabelSetId(0), &[7]);
    let body = gzip::compress(&pprof::encode(&profile));
    let scratch = tempfile::tempdir().expect("a folder");
    let before = scratch.path().join("before.pb.gz");
    std::fs::write(&before, &body).expect("written");
    let before = raw(&before);
    // Another mapping without samples is left out, as it is when profiles are merged by pprof.
    let is_used = |mapping: &&String| !mapping.contains("libm");
    let expected: Vec<String> = before.mappings.iter().filter(is_used).cloned().collect();
    assert_eq!(expected.len(), 2, "{before:?}");
    for service in ["s", "t"] {
        let labels = [("service_name", service), ("__name__", "p")];
        let (status, answer) = world.push("", &labels, "", &body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let after = async |name: &str| {
        let range = world.range("type=p:*&selector={service_name=%22t%22}");
        let path = format!("/api/v1/profiles/pprof?{range}");
        let (status, export) = world.get_as("anonymous", &path).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&export));
        let file = scratch.path().join(name);
        std::fs::write(&file, export).expect("written");
        raw(&file)
    };
    let pushed = after("pushed.pb.gz").await;
    assert_eq!(pushed.mappings, expected);
    assert_eq!(pushed.samples, before.samples);
    world.clock.advance(std::time::Duration::from_mins(40));
    let done = world.archive.compactor().once().await.expect("compaction");
    assert_eq!(done.merged, 1, "{done:?}");
    assert_eq!(after("compacted.pb.gz").await.mappings, expected);
}
