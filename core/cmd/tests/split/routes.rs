//! Every route is an operation: without a name nobody could toggle it off or read its usage.

use std::path::{Path, PathBuf};

/// Where routes are made that Davy's listeners serve.
const SOURCES: [&str; 4] = [
    "archive/src",
    "core/cmd/src",
    "core/control/src",
    "profiler/src",
];

fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the workspace is two folders up")
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The paths of a source's routes, and the methods that are named with them.
fn routes(source: &str) -> Vec<(String, Vec<&'static str>)> {
    // Up to the next one, or to the end of the statement.
    let ends = |text: &str| text.find(';').unwrap_or(text.len());
    let mut found = Vec::new();
    for text in source.split(".route(").skip(1) {
        let text = &text[..ends(text)];
        let Some(path) = text.trim_start().strip_prefix('"') else {
            continue;
        };
        let Some((path, handlers)) = path.split_once('"') else {
            continue;
        };
        let methods = [
            ("get(", "GET"),
            ("post(", "POST"),
            ("put(", "PUT"),
            ("delete(", "DELETE"),
        ];
        let named = methods.iter().filter(|(call, _)| handlers.contains(call));
        let mut named: Vec<_> = named.map(|(_, method)| *method).collect();
        if named.is_empty() {
            // Made by a function of its own, all of which answer GET.
            named.push("GET");
        }
        found.push((path.to_owned(), named));
    }
    found
}

/// What a source serves that has no name.
fn nameless(source: &str) -> Vec<String> {
    let mut nameless = Vec::new();
    for (path, methods) in routes(source) {
        for method in methods {
            let is_named = davy_control::operations()
                .any(|operation| operation.path == path && operation.method == method);
            if !is_named {
                nameless.push(format!("{method} {path}"));
            }
        }
    }
    nameless
}

#[test]
fn every_route_in_the_sources_is_an_operation() {
    let mut files = Vec::new();
    for source in SOURCES {
        rust_files(&root().join(source), &mut files);
    }
    let (mut all, mut wrong) = (0, Vec::new());
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source");
        // What a test serves is nobody's to toggle.
        let source = source.split("#[cfg(test)]").next().unwrap_or("");
        all += routes(source).len();
        for route in nameless(source) {
            wrong.push(format!("{}: {route}", file.display()));
        }
    }
    assert!(all >= 30, "only {all} routes were found");
    assert!(
        wrong.is_empty(),
        "name them in core/control/src/operations.rs: {wrong:#?}"
    );
}

#[test]
fn a_route_without_a_name_is_found() {
    let source = r#"
        Router::new()
            .route("/livez", get(async || "ok"))
            .route(
                "/api/v1/secret",
                get(a).post(b),
            )
            .route("/metrics", post(c)) "#;
    assert_eq!(
        nameless(source),
        ["GET /api/v1/secret", "POST /api/v1/secret", "POST /metrics"]
    );
}

#[test]
fn an_operation_has_one_member_and_a_name_that_is_a_word() {
    let operations: Vec<_> = davy_control::operations().collect();
    for operation in &operations {
        assert!(!operation.summary.is_empty(), "{}", operation.id);
        assert!(
            operation.id.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{}",
            operation.id
        );
        let members = operations.iter().filter(|other| other.id == operation.id);
        assert!(
            members
                .into_iter()
                .all(|other| other.member == operation.member),
            "{} belongs to two members",
            operation.id
        );
    }
}
