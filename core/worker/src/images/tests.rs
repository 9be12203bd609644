use super::*;
use davy_base::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::digest;
use serde_json::json;
use std::io::Write as _;
use tar::Builder;

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        builder
            .append_data(&mut header, path, text.as_bytes())
            .expect("memory");
    }
    let encoder = builder.into_inner().expect("memory");
    encoder.finish().expect("memory")
}

/// Writes a blob; returns its descriptor.
fn blob(layout: &Path, kind: &str, bytes: &[u8]) -> serde_json::Value {
    let hexadecimal = to_hex(digest(&SHA256, bytes).as_ref());
    let folder = layout.join("blobs/sha256");
    fs::create_dir_all(&folder).expect("writable");
    fs::write(folder.join(&hexadecimal), bytes).expect("writable");
    json!({"mediaType": kind, "digest": format!("sha256:{hexadecimal}"), "size": bytes.len()})
}

/// An OCI layout with an image of these layers.
fn layout(folder: &Path, layers: &[Vec<u8>]) -> serde_json::Value {
    fs::create_dir_all(folder).expect("writable");
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("writable");
    let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| blob(folder, kind, layer))
        .collect();
    let config = json!({"config": {"Env": ["LANG=C"]}}).to_string();
    let config = blob(folder, "config", config.as_bytes());
    let manifest = json!({"config": config, "layers": layers}).to_string();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = blob(folder, kind, manifest.as_bytes());
    index(folder, std::slice::from_ref(&manifest));
    manifest
}

fn index(folder: &Path, manifests: &[serde_json::Value]) {
    let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    fs::write(folder.join("index.json"), index).expect("writable");
}

struct Fixture {
    folder: tempfile::TempDir,
    images: Images,
    clock: Clock,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let sources = folder.path().join("sources");
        fs::create_dir(&sources).expect("writable");
        let store = folder.path().join("store");
        let images = Images::new(sources, store, None, 0, clock.clone()).expect("writable");
        Self {
            folder,
            images,
            clock,
        }
    }

    fn source(&self, name: &str) -> PathBuf {
        self.folder.path().join("sources").join(name)
    }

    fn refuses(&self, name: &str, words: &str) {
        let error = self.images.find(Some(name)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
        let stored = names(&self.images.store).expect("readable");
        assert!(!stored.iter().any(|name| name.starts_with("part-")));
    }
}

#[test]
fn image_comes_from_a_layout_a_tar_file_or_a_folder_and_is_unpacked_once() {
    let fixture = Fixture::new();
    let layers = [
        layer(&[("etc/name", "lower"), ("etc/gone", "x")]),
        layer(&[("etc/name", "upper"), ("etc/.wh.gone", "")]),
    ];
    layout(&fixture.source("oci"), &layers);
    fs::write(fixture.source("plain.tar.gz"), &layers[0]).expect("writable");
    fs::create_dir_all(fixture.source("folder/etc")).expect("writable");
    fs::write(fixture.source("folder/etc/name"), "folder").expect("writable");
    for (name, expected) in [("oci", "upper"), ("plain", "lower"), ("folder", "folder")] {
        let image = fixture.images.find(Some(name)).expect("valid");
        let read = fs::read_to_string(image.root.join("etc/name"));
        assert_eq!(read.expect("unpacked"), expected);
        assert_eq!(fixture.images.find(Some(name)).expect("stored"), image);
    }
    let oci = fixture.images.find(Some("oci")).expect("stored");
    assert_eq!(oci.environment, ["LANG=C"]);
    assert!(!oci.root.join("etc/gone").exists());
    // A changed folder is another image.
    let before = fixture.images.find(Some("folder")).expect("stored").key;
    fs::write(fixture.source("folder/etc/more"), "").expect("writable");
    assert_ne!(
        fixture.images.find(Some("folder")).expect("new").key,
        before
    );
}

#[test]
fn damaged_and_ambiguous_layouts_are_refused() {
    let fixture = Fixture::new();
    let path = fixture.source("oci");
    let manifest = layout(&path, &[layer(&[("etc/name", "1")])]);
    index(&path, &[manifest.clone(), manifest.clone()]);
    fixture.refuses("oci", "2 images for linux/");
    let mut wrong = manifest.clone();
    wrong["platform"] = json!({"os": "windows", "architecture": "amd64"});
    index(&path, &[wrong]);
    fixture.refuses("oci", "no image for linux/");
    let mut outside = manifest.clone();
    outside["digest"] = json!("sha256:../../../etc/passwd");
    index(&path, &[outside]);
    fixture.refuses("oci", "invalid digest");
    index(&path, &[manifest]);
    // One byte of a layer has changed.
    for blob in fs::read_dir(path.join("blobs/sha256")).expect("readable") {
        let blob = blob.expect("readable").path();
        let mut bytes = fs::read(&blob).expect("readable");
        if bytes.starts_with(&[0x1f, 0x8b]) {
            *bytes.last_mut().expect("not empty") ^= 1;
            let mut file = fs::File::create(blob).expect("writable");
            file.write_all(&bytes).expect("writable");
        }
    }
    fixture.refuses("oci", "does not match its descriptor");
    fixture.refuses("missing", "no image \"missing\"");
    fixture.refuses("../oci", "invalid image");
    let error = fixture.images.find(None).expect_err("no default");
    assert!(matches!(error, ImageError::NoImage), "{error}");
}

#[test]
fn image_is_removed_after_a_day_without_a_container() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.source("folder/etc")).expect("writable");
    let image = fixture.images.find(Some("folder")).expect("valid");
    let hour = std::time::Duration::from_hours(1);
    fixture.clock.advance(23 * hour);
    fixture.images.collect(&BTreeSet::new()).expect("readable");
    assert!(image.root.exists(), "used less than a day ago");
    fixture.clock.advance(hour);
    let in_use = BTreeSet::from([image.key]);
    fixture.images.collect(&in_use).expect("readable");
    assert!(image.root.exists(), "in use");
    fixture.images.collect(&BTreeSet::new()).expect("readable");
    assert!(!image.root.exists());
}
