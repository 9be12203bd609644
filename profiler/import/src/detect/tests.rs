use super::detect;
use crate::{Error, Format};
use davy_profile::{LabelSetId, Profile, pprof};

fn check(bytes: &[u8], expected: Result<Format, &str>) {
    let got = detect(bytes).map_err(|error| error.to_string());
    assert_eq!(
        got,
        expected.map_err(str::to_owned),
        "{:?}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
    );
}

fn small_pprof(name: &str) -> Vec<u8> {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    let location = profile.named_location(name);
    let stack = profile.stack([location]);
    profile.add_sample(stack, LabelSetId(0), &[7]);
    pprof::encode(&profile)
}

#[test]
fn formats_are_recognized_by_content() {
    check(&small_pprof("main"), Ok(Format::Pprof));
    // Names that look like folded stacks do not make a profile text.
    check(&small_pprof("a 1\nb 2\nc 3\n"), Ok(Format::Pprof));
    check(b"main;work 42\n", Ok(Format::Folded));
    check(b"main;work 42\r\n\r\nmain;half", Ok(Format::Folded));
    check(
        b"i.php;class@anonymous\0/srv/S.php0x7f::parse 3\ni.php 7\n",
        Ok(Format::Folded),
    );
    check(
        b"\xff\xfem\0a\0i\0n\0;\0w\0 \x007\0\r\0\n\0",
        Ok(Format::Folded),
    );
    check(b"m\0a\0i\0n\0;\0w\0 \x007\0\n\0", Ok(Format::Folded));
    check(b"\xef\xbb\xbfmain;work 70\n", Ok(Format::Folded));
    check(
        b"# austin: 3.6.0\n# mode: wall\n\nP7;T7;a.py:f:1 250\n",
        Ok(Format::Folded),
    );
    check(b"{closure:/p/f.php(5)};g 3\n", Ok(Format::Folded));
    check(b"[kernel];g 3\n", Ok(Format::Folded));
    check(b"<module>;g 3\n", Ok(Format::Folded));
    check(b"FLR\0\0\x02\0\x01", Ok(Format::Jfr));
    check(
        b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\"",
        Ok(Format::Speedscope),
    );
    check(b"a;b -1\n", Ok(Format::Folded));
}

#[test]
fn other_content_is_named() {
    check(b"", Err("empty body; expected a profile"));
    check(b" \r\n", Err("empty body; expected a profile"));
    check(
        b"\r\n<!DOCTYPE html>\n<html><head><title>502 Bad\n Gateway</title></head></html>",
        Err(
            "expected a profile, got an HTML page titled \"502 Bad Gateway\"; check the URL and the proxies on the way",
        ),
    );
    check(
        b"<HTML>",
        Err("expected a profile, got an HTML page; check the URL and the proxies on the way"),
    );
    check(
        b"{\"error\":\"not found\",\"code\":404}",
        Err(
            "expected a profile, got JSON with the keys error, code; the supported JSON formats are speedscope, .cpuprofile and .heapprofile",
        ),
    );
    check(
        b"{}",
        Err(
            "expected a profile, got JSON with the keys (none); the supported JSON formats are speedscope, .cpuprofile and .heapprofile",
        ),
    );
    check(
        b"[{\"ph\":\"X\"}]",
        Err("expected a profile, got a Chrome trace; save a .cpuprofile instead"),
    );
    check(
        b"PK\x03\x04zip",
        Err("expected a profile, got a zip archive; send the profile that it contains"),
    );
    check(
        b"PERFILE2xx",
        Err("expected a profile, got a perf.data file; send the output of perf script"),
    );
    check(
        b"go 1.22 trace\0\0\0",
        Err(
            "expected a profile, got a Go execution trace; send a profile, such as /debug/pprof/profile",
        ),
    );
    check(
        b"\x99\x01\x02\x03\xff\xfe\x00\x01\x02",
        Err(
            "unknown binary format, first bytes 99 01 02 03 ff fe 00 01; expected pprof, JFR, or the tree or trie format of Pyroscope",
        ),
    );
    check(
        b"not a profile at all\n",
        Err(
            "invalid folded stacks: line 1: the count is not a number; expected lines such as \"main;work 42\"",
        ),
    );
    check(
        b"main;work\nmain;idle\n",
        Err(
            "invalid folded stacks: line 1: no count after the stack; if each line is one sample, state the format lines; expected lines such as \"main;work 42\"",
        ),
    );
}

#[test]
fn control_characters_in_names_do_not_make_a_text_binary() {
    let lines = b"/srv/app/index.php;Main::run;class@anonymous\0/srv/app/Search.php0x7f::parse\n/srv/app/index.php;Main::run\n";
    let error = detect(lines)
        .expect_err("lines are not detected")
        .to_string();
    assert!(error.contains("state the format lines"), "{error}");
}

#[test]
fn truncated_pprof_is_reported_as_pprof() {
    let bytes = small_pprof("main");
    let result = detect(&bytes[..bytes.len() - 1]);
    assert!(
        matches!(result, Err(Error::Profile(davy_profile::Error::Wire(_)))),
        "{result:?}"
    );
    check(
        &[0x0a, 0x7f, 0x01],
        Err("invalid pprof profile: length beyond the end of the message at byte 2"),
    );
}

#[test]
fn first_line_may_be_longer_than_the_examined_part() {
    let text = format!("main;{}leaf 1\nmain;other 2\n", "recurse;".repeat(30_000));
    check(text.as_bytes(), Ok(Format::Folded));
    check(text.trim_end().as_bytes(), Ok(Format::Folded));
}

#[test]
fn binary_data_needs_as_many_stacks_as_other_lines() {
    check(b"a;\xff 1\nb\xff\n", Ok(Format::Folded));
    let more_lines = detect(b"a;\xff 1\nb\xff\nc\n");
    assert!(
        matches!(more_lines, Err(Error::UnknownBinary { .. })),
        "{more_lines:?}"
    );
    // One control character in 32 is still a text.
    let text = |controls: usize| [vec![b'x'; 64 - controls], vec![1; controls]].concat();
    assert!(matches!(detect(&text(2)), Err(Error::Line { .. })));
    assert!(matches!(detect(&text(3)), Err(Error::UnknownBinary { .. })));
}

#[test]
fn stacks_that_begin_like_another_file_are_folded_stacks() {
    check(b"MOJave;run 3\nMOJave 1\n", Ok(Format::Folded));
    check(b"BZhandler;f 1\n", Ok(Format::Folded));
    check(
        b"BZh91AY&SY\x8f\x12\n7",
        Err("expected a profile, got bzip2 data; decompress it"),
    );
}
