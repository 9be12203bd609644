use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tar::Builder;

/// An entry of a tar file, written as it is.
struct Written<'a> {
    kind: EntryType,
    path: &'a str,
    link: &'a str,
    bytes: &'a [u8],
}

const fn file<'a>(path: &'a str, bytes: &'a [u8]) -> Written<'a> {
    Written {
        kind: EntryType::Regular,
        path,
        link: "",
        bytes,
    }
}

const fn other<'a>(kind: EntryType, path: &'a str, link: &'a str) -> Written<'a> {
    Written {
        kind,
        path,
        link,
        bytes: b"",
    }
}

fn tar(entries: &[Written<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        let old = header.as_old_mut();
        old.name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        builder.append(&header, entry.bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

struct Fixture {
    /// `image` is the root file system; `secret` is beside it.
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("image")).expect("writable");
        fs::write(folder.path().join("secret"), "untouched").expect("writable");
        Self { folder }
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join("image").join(inner)
    }

    fn unpack(&self, layer: &[u8]) -> Result<(), ImageError> {
        self.unpack_within(layer, 1 << 20)
    }

    fn unpack_within(&self, layer: &[u8], bytes_max: u64) -> Result<(), ImageError> {
        let root = Root::open(&self.path(""), 0).expect("a folder");
        unpack(|| Ok(layer), &root, &mut Budget::new(bytes_max, 20))
    }

    /// Refuses a layer with a message that has all of these words.
    fn refuses(&self, entries: &[Written<'_>], words: &[&str]) {
        let error = self.unpack(&tar(entries)).expect_err(words[0]).to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        let secret = fs::read_to_string(self.folder.path().join("secret"));
        assert_eq!(secret.expect("there"), "untouched");
    }

    fn read(&self, inner: &str) -> Option<String> {
        fs::read_to_string(self.path(inner)).ok()
    }
}

#[test]
fn layers_are_unpacked_over_each_other_with_what_they_hide() {
    let fixture = Fixture::new();
    let lower = [
        file("etc/kept", b"1"),
        file("etc/changed", b"1"),
        file("etc/hidden", b"1"),
        file("var/old", b"1"),
        other(EntryType::Symlink, "lib", "usr/lib"),
        other(EntryType::Directory, "usr/lib/", ""),
    ];
    fixture.unpack(&tar(&lower)).expect("valid");
    let upper = [
        file("etc/changed", b"2"),
        file("etc/.wh.hidden", b""),
        // Hides only what lower layers have, whatever the order of the entries.
        file("var/new", b"2"),
        file("var/.wh..wh..opq", b""),
        file("lib/through-a-link", b"2"),
        other(EntryType::Link, "etc/same", "etc/kept"),
    ];
    fixture.unpack(&tar(&upper)).expect("valid");
    let check = |inner: &str, expected: Option<&str>| {
        assert_eq!(fixture.read(inner).as_deref(), expected, "{inner}");
    };
    check("etc/kept", Some("1"));
    check("etc/same", Some("1"));
    check("etc/changed", Some("2"));
    check("etc/hidden", None);
    check("var/old", None);
    check("var/new", Some("2"));
    check("usr/lib/through-a-link", Some("2"));
    let mode = fs::metadata(fixture.path("etc/changed")).expect("there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o755);
}

#[test]
fn entries_that_lead_out_are_refused_with_their_names() {
    let fixture = Fixture::new();
    fixture.refuses(&[file("../secret", b"x")], &["../secret", "leads out"]);
    fixture.refuses(&[file("a/../../secret", b"x")], &["a/../../secret"]);
    fixture.refuses(&[file("/etc/passwd", b"x")], &["/etc/passwd", "absolute"]);
    fixture.refuses(
        &[other(EntryType::Link, "hard", "../secret")],
        &["hard", "leads out"],
    );
    fixture.refuses(
        &[other(EntryType::Link, "hard", "missing")],
        &["hard", "No such file"],
    );
    for hidden in ["etc/.wh.", "etc/.wh..", "etc/.wh..."] {
        fixture.refuses(&[file(hidden, b"")], &[hidden, "leads out"]);
    }
}

#[test]
fn symbolic_links_are_kept_and_never_followed_out_of_the_image() {
    let fixture = Fixture::new();
    let outside = fixture.folder.path().display().to_string();
    let entries = [
        other(EntryType::Symlink, "absolute", &outside),
        other(EntryType::Symlink, "relative", ".."),
        file("relative/secret", b"inside"),
    ];
    fixture.unpack(&tar(&entries)).expect("resolved inside");
    // `..` of the root is the root.
    assert_eq!(fixture.read("secret").as_deref(), Some("inside"));
    assert!(fixture.path("absolute").is_symlink());
    fixture.refuses(&[file("absolute/secret", b"x")], &["absolute/secret"]);
    // A file replaces a link, and is not written through it.
    symlink(fixture.folder.path().join("secret"), fixture.path("link")).expect("writable");
    fixture
        .unpack(&tar(&[file("link", b"new")]))
        .expect("valid");
    assert!(!fixture.path("link").is_symlink());
    fixture.refuses(&[other(EntryType::Char, "dev/null", "")], &["dev/null"]);
}

#[test]
fn devices_and_bombs_are_refused_with_their_names() {
    let fixture = Fixture::new();
    for kind in [EntryType::Char, EntryType::Block] {
        fixture.refuses(&[other(kind, "dev/sda", "")], &["dev/sda", "devices"]);
    }
    fixture.refuses(&[other(EntryType::Fifo, "pipe", "")], &["pipe", "neither"]);
    let many: Vec<String> = (0..30).map(|number| format!("f{number}")).collect();
    let many: Vec<Written<'_>> = many.iter().map(|path| file(path, b"")).collect();
    fixture.refuses(&many, &["20 files", "f20"]);
    let error = fixture.unpack_within(&tar(&[file("large", &[0; 5_000])]), 4_000);
    let error = error.expect_err("too large").to_string();
    assert!(
        error.contains("4000 bytes") && error.contains("large"),
        "{error}"
    );
    assert_eq!(fixture.read("large"), None, "nothing of it is written");
    let name = vec![b'a'; 100_000];
    let long = Written {
        kind: EntryType::GNULongName,
        path: "././@LongLink",
        link: "",
        bytes: &name,
    };
    fixture.refuses(&[long], &["4096 bytes of an extended header"]);
}

#[test]
fn long_names_of_both_formats_are_read() {
    let fixture = Fixture::new();
    let name = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let mut zero = name.clone().into_bytes();
    zero.push(0);
    let record = format!("path={name}2\n");
    let record = format!("{} {record}", record.len() + 4);
    let entries = [
        Written {
            kind: EntryType::GNULongName,
            path: "././@LongLink",
            link: "",
            bytes: &zero,
        },
        file("cut", b"1"),
        Written {
            kind: EntryType::XHeader,
            path: "pax",
            link: "",
            bytes: record.as_bytes(),
        },
        file("cut", b"2"),
    ];
    fixture.unpack(&tar(&entries)).expect("valid");
    assert_eq!(fixture.read(&name).as_deref(), Some("1"));
    assert_eq!(fixture.read(&format!("{name}2")).as_deref(), Some("2"));
}
