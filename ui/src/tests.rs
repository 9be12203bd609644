use super::{Asset, Dist, asset, built, index, is_compressed_copy};

/// Every file of the app without compressed copies; empty in a build without the app.
fn files() -> Vec<(String, Asset)> {
    Dist::iter()
        .filter(|path| !is_compressed_copy(path))
        .map(|path| (path.to_string(), asset(&path).expect("embedded file")))
        .collect()
}

#[test]
fn index_is_served_with_and_without_the_app() {
    let page = index();
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    assert!(!page.immutable, "a cached page would refer to old assets");
    let text = String::from_utf8(page.bytes.into_owned()).expect("UTF-8 page");
    if built() {
        assert!(text.contains("<div id=\"app\">"));
    } else {
        assert!(text.contains("make ui"));
        assert_eq!(asset("index.html"), None);
    }
}

#[test]
fn leading_slash_is_optional() {
    for (path, file) in files() {
        assert_eq!(asset(&format!("/{path}")), Some(file));
    }
}

#[test]
fn paths_outside_the_app_are_not_found() {
    for path in [
        "",
        "/",
        "nope.js",
        "../Cargo.toml",
        "/../Cargo.toml",
        "assets/../../Cargo.toml",
        "/etc/passwd",
    ] {
        assert_eq!(asset(path), None, "{path}");
    }
}

#[test]
fn compressed_copies_are_smaller_and_not_served_as_files() {
    for (path, file) in files() {
        assert_eq!(asset(&format!("{path}.gz")), None);
        if let Some(gzip) = file.gzip {
            assert!(gzip.starts_with(&[0x1f, 0x8b]), "{path}");
            assert!(gzip.len() < file.bytes.len(), "{path}");
        }
    }
}

#[test]
fn only_files_named_by_content_are_immutable() {
    for (path, file) in files() {
        assert_eq!(file.immutable, path.starts_with("assets/"), "{path}");
    }
}

#[test]
fn etags_are_weak_and_unique() {
    let mut tags: Vec<String> = files()
        .into_iter()
        .filter_map(|(_, file)| file.etag)
        .collect();
    let count = tags.len();
    assert!(
        tags.iter()
            .all(|tag| tag.starts_with("W/\"") && tag.ends_with('"'))
    );
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count);
}

#[test]
fn page_has_no_inline_code_and_no_foreign_origins() {
    let page = index();
    let text = String::from_utf8_lossy(&page.bytes);
    assert!(!text.contains("://"), "{text}");
    assert!(!text.contains("<style"), "{text}");
    assert!(
        text.split("<script")
            .skip(1)
            .all(|tag| tag.contains(" src=")),
        "{text}"
    );
}

#[test]
fn every_file_has_a_media_type() {
    for (path, file) in files() {
        assert_ne!(file.content_type, "application/octet-stream", "{path}");
    }
}
