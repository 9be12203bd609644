use super::{Asset, Dist, asset, built, index, is_twin};

/// Every file of the app but the compressed twins; none in a build without the app.
fn files() -> Vec<(String, Asset)> {
    Dist::iter()
        .filter(|path| !is_twin(path))
        .map(|path| {
            (
                path.to_string(),
                asset(&path).expect("an embedded file is found"),
            )
        })
        .collect()
}

#[test]
fn page_is_there_whether_or_not_the_app_was_built() {
    let page = index();
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    assert!(
        !page.immutable,
        "the page names the current assets, so it is asked for each time"
    );
    let text = String::from_utf8(page.bytes.into_owned()).expect("the page is UTF-8");
    if built() {
        assert!(text.contains("<div id=\"app\">"));
    } else {
        assert!(text.contains("make ui"));
        assert_eq!(asset("index.html"), None);
    }
}

#[test]
fn path_is_found_with_and_without_its_leading_slash() {
    for (path, file) in files() {
        assert_eq!(asset(&format!("/{path}")), Some(file));
    }
}

#[test]
fn path_that_is_not_of_the_app_is_not_found() {
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
fn compressed_twin_is_smaller_and_is_no_file_of_its_own() {
    for (path, file) in files() {
        assert_eq!(asset(&format!("{path}.gz")), None);
        if let Some(gzip) = file.gzip {
            assert!(gzip.starts_with(&[0x1f, 0x8b]), "{path}");
            assert!(gzip.len() < file.bytes.len(), "{path}");
        }
    }
}

#[test]
fn only_files_named_after_their_content_are_kept_for_ever() {
    for (path, file) in files() {
        assert_eq!(file.immutable, path.starts_with("assets/"), "{path}");
    }
}

#[test]
fn each_content_has_its_own_tag() {
    let mut tags: Vec<String> = files().into_iter().map(|(_, file)| file.etag).collect();
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
fn page_asks_nothing_of_other_hosts_and_runs_nothing_inline() {
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
fn every_file_of_the_app_has_a_media_type() {
    for (path, file) in files() {
        assert_ne!(file.content_type, "application/octet-stream", "{path}");
    }
}
