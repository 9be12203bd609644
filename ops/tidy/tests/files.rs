//! Rules about single files.

use davy_tidy::files;
use std::path::Path;

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|e| extensions.iter().any(|extension| e == *extension))
}

/// The maximum length of a source file, in lines.
const LINES_MAX: usize = 500;

#[test]
fn source_files_have_at_most_500_lines() {
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
fn links_between_documents_resolve() {
    let link = regex::Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").expect("a valid expression");
    let mut broken = Vec::new();
    for path in files()
        .into_iter()
        .filter(|path| has_extension(path, &["md"]))
    {
        let text = std::fs::read_to_string(&path).expect("documents are UTF-8");
        let folder = path.parent().expect("a document is in a folder");
        for found in link.captures_iter(&text) {
            let target = &found[1];
            let is_external = target.contains("://") || target.starts_with("mailto:");
            if !is_external && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
