use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A tar file with one entry, whose header is written as it is.
fn packed(kind: EntryType, path: &str, link: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    let old = header.as_old_mut();
    old.name[..path.len()].copy_from_slice(path.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    builder.append(&header, bytes).expect("memory");
    let encoder = builder.into_inner().expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn folder_is_unpacked_as_it_was_packed() {
    let (from, to) = (folder(), folder());
    fs::create_dir_all(from.path().join("a/b")).unwrap();
    fs::write(from.path().join("a/b/run.sh"), "#!/bin/sh\n").unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(from.path().join("a/b/run.sh"), executable).unwrap();
    symlink("b/run.sh", from.path().join("a/link")).unwrap();
    unpack(&pack(from.path()).unwrap(), to.path()).unwrap();
    let script = to.path().join("a/b/run.sh");
    assert_eq!(fs::read_to_string(&script).unwrap(), "#!/bin/sh\n");
    let mode = fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    let link = fs::read_link(to.path().join("a/link")).unwrap();
    assert_eq!(link, Path::new("b/run.sh"));
}

#[test]
fn nothing_is_written_outside_of_the_folder() {
    let refused = |bytes: Vec<u8>, expected: &str| {
        let parent = folder();
        let inner = parent.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let error = unpack(&bytes, &inner).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        let names: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    };
    let file = EntryType::Regular;
    refused(packed(file, "../evil", "", b"x"), "leads out");
    refused(packed(file, "a/../../evil", "", b"x"), "leads out");
    refused(packed(file, "/tmp/davy-evil", "", b"x"), "leads out");
    let link = EntryType::Symlink;
    refused(packed(link, "a", "/etc", b""), "leads out");
    refused(packed(link, "a", "../..", b""), "leads out");
    refused(packed(EntryType::Link, "a", "b", b""), "neither a file");
    refused(packed(EntryType::Fifo, "a", "", b""), "neither a file");
    refused(packed(EntryType::Char, "a", "", b""), "neither a file");
    assert!(!Path::new("/tmp/davy-evil").exists());
}

#[test]
fn file_is_not_written_through_a_link_that_was_there_before() {
    let (outside, to) = (folder(), folder());
    symlink(outside.path(), to.path().join("a")).unwrap();
    let bytes = packed(EntryType::Regular, "a/evil", "", b"x");
    assert!(unpack(&bytes, to.path()).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn tar_bomb_is_stopped_at_the_limit() {
    let to = folder();
    let bytes = packed(EntryType::Regular, "zeros", "", &vec![0; 4 << 20]);
    assert!(bytes.len() < 64 << 10, "it compresses well");
    let error = unpack_within(&bytes, to.path(), 1 << 20).expect_err("too large");
    assert!(matches!(error, TreeError::TooLarge { .. }), "{error}");
    assert!(!to.path().join("zeros").exists());
}

#[test]
fn folder_that_does_not_compress_below_the_limit_is_refused() {
    let from = folder();
    let mut random = davy_base::Random::seeded(1);
    let words = (0..(PACKED_BYTES_MAX / 8 + 1_024)).flat_map(|_| random.next_u64().to_le_bytes());
    fs::write(from.path().join("noise"), words.collect::<Vec<u8>>()).unwrap();
    let error = pack(from.path()).expect_err("too large");
    assert!(matches!(error, TreeError::TooLarge { .. }), "{error}");
}
