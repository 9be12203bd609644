//! Every route is an operation, so that it has a toggle and usage.

use std::path::{Path, PathBuf};

/// The folders with routes that listeners serve.
const SOURCES: [&str; 5] = [
    "archive/connect/src",
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

/// The paths of the routes in a source, with their methods.
fn routes(source: &str) -> Vec<(String, Vec<&'static str>)> {
    // A route ends at the next one or at the end of the statement.
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
            // Handlers that a function returns serve GET.
            named.push("GET");
        }
        found.push((path.to_owned(), named));
    }
    found
}

/// The routes in a source that are not operations.
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
        let source = std::fs::read_to_string(&file).expect("read the source");
        // Routes in tests are not served.
        let source = source.split("#[cfg(test)]").next().unwrap_or("");
        all += routes(source).len();
        for route in nameless(source) {
            wrong.push(format!("{}: {route}", file.display()));
        }
    }
    assert!(all >= 30, "only {all} routes were found");
    assert!(
        wrong.is_empty(),
        "add these to core/control/src/operations.rs: {wrong:#?}"
    );
}

#[test]
fn route_without_an_operation_is_reported() {
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
fn operation_has_one_member_and_an_alphanumeric_name() {
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
