//! Which package may import which.

use davy_tidy::{files, root};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Every package and its floor. A package imports only from lower floors.
const FLOORS: &[(&str, u32)] = &[
    ("davy-base", 0),
    ("davy-cgroup", 0),
    ("davy-tag", 0),
    ("davy-model", 0),
    ("davy-test-support", 0),
    ("davy-tidy", 0),
    ("davy-profile", 0),
    ("davy-profiler-macros", 0),
    ("davy-actix", 1),
    ("davy-ui", 0),
    ("davy-bucket", 1),
    ("davy-profiler", 1),
    ("davy-import", 1),
    ("davy-record", 1),
    ("davy-runtime", 2),
    ("davy-store", 2),
    ("davy-archive", 2),
    ("davy-render", 3),
    ("davy-fuzz", 3),
    ("davy-sim", 3),
    ("davy-arclamp", 3),
    ("davy-connect", 3),
    ("davy-scrape", 3),
    ("davy-symbols", 3),
    ("davy-control", 3),
    ("davy-worker", 3),
    ("davy", 4),
];

/// The top folders, and the top folders that each may import from.
const TOP_FOLDERS: &[(&str, &[&str])] = &[
    ("core", &["archive", "profiler", "ui"]),
    ("archive", &["profiler"]),
    ("profiler", &[]),
    ("ui", &[]),
    ("ops", &["archive", "profiler"]),
];

/// A package of the workspace.
struct Package {
    name: String,
    top_folder: String,
    /// Packages that it imports outside of its tests.
    imports: Vec<String>,
}

fn packages() -> Vec<Package> {
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
    let package = |package: &serde_json::Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.strip_prefix(root()).ok()?.components().next()?;
        let imports = package["dependencies"].as_array()?.iter();
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            top_folder: folder.as_os_str().to_str()?.to_owned(),
            imports: imports
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect(),
        })
    };
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|json| package(json).expect("name, manifest and dependencies"))
        .collect()
}

#[test]
fn packages_import_only_from_lower_floors() {
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    let mut wrong = Vec::new();
    for Package { name, imports, .. } in packages() {
        let Some(floor) = floors.get(name.as_str()) else {
            wrong.push(format!("{name} has no floor; add it to FLOORS"));
            continue;
        };
        for import in imports {
            if let Some(below) = floors.get(import.as_str())
                && below >= floor
            {
                wrong.push(format!(
                    "{name} (floor {floor}) imports {import} (floor {below})"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_between_top_folders_point_down() {
    let packages = packages();
    let folders: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (&*package.name, &*package.top_folder))
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = TOP_FOLDERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let from = &*package.top_folder;
        let below = allowed.get(from).copied().unwrap_or_default();
        for import in &package.imports {
            if let Some(&to) = folders.get(import.as_str())
                && to != from
                && !below.contains(&to)
            {
                let name = &package.name;
                wrong.push(format!("{name} in {from} imports {import} in {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_has_a_readme() {
    for file in files()
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && *path != root().join("Cargo.toml"))
    {
        let readme = file.with_file_name("README.md");
        assert!(readme.exists(), "{} is missing", readme.display());
    }
}
