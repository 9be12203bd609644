//! The house keeps its own rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the workspace is two folders up")
        .to_owned()
}

/// Every package and its floor. A new package says here where it stands.
const FLOORS: &[(&str, u32)] = &[
    ("davy-base", 0),
    ("davy-tag", 0),
    ("davy-test-support", 0),
    ("davy-profile", 0),
    ("davy-ui", 0),
    ("davy-profiler", 1),
    ("davy-record", 1),
    ("davy-runtime", 2),
    ("davy-store", 2),
    ("davy-archive", 2),
    ("davy-control", 3),
    ("davy", 4),
];

#[test]
fn packages_import_only_from_lower_floors() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let Some(floor) = floors.get(name) else {
            wrong.push(format!("{name} has no floor; add it to FLOORS"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let on = dependency["name"].as_str().expect("a name");
            // What only tests use may stand anywhere below or beside.
            let for_tests = dependency["kind"] == "dev";
            if let Some(below) = floors.get(on)
                && below >= floor
                && !for_tests
            {
                wrong.push(format!(
                    "{name} (floor {floor}) imports {on} (floor {below})"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tracked files, and those that would be.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| root().join(line))
        .filter(|path| path.exists())
        .collect()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|e| extensions.iter().any(|extension| e == *extension))
}

/// Lines of a source file, at most.
const LINES_MAX: usize = 500;

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = files()
        .into_iter()
        .filter(|path| has_extension(path, &["rs", "ts", "tsx"]))
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).ok()?.lines().count();
            (lines > LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").expect("a valid expression");
    let mut broken = Vec::new();
    for path in files()
        .into_iter()
        .filter(|path| has_extension(path, &["md"]))
    {
        let text = std::fs::read_to_string(&path).expect("a document is text");
        let folder = path.parent().expect("a document is in a folder");
        for found in link.captures_iter(&text) {
            let target = &found[1];
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_room_says_what_it_takes_off_your_hands() {
    for file in files()
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && *path != root().join("Cargo.toml"))
    {
        let readme = file.with_file_name("README.md");
        assert!(readme.exists(), "{} is missing", readme.display());
    }
}
