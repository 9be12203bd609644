use super::{Header, header};
use crate::outline::outline;
use crate::{Format, Options, Skipped, decode, detect};

const OUTPUT: &str = "\
# ========
# captured on    : Sat Nov 28 20:00:00 2026
# cmdline : perf record -g ./work
#
my prog 12345/12346 [001] 9876.543210:     250000 cycles:u: 
\t    55d4c0de1139 inner(int, char)+0x9 (/srv/work)
\t    55d4c0de1150 main+0x10 (/srv/work)
\t    7f12c0de0000 [unknown] (/usr/lib/libc.so.6)

my prog 12345/12346 [001] 9876.543310:     750000 cycles:u: 
\t    55d4c0de1139 inner(int, char)+0xa (/srv/work)
\t    55d4c0de1150 main+0x10 (/srv/work)
\t    7f12c0de0000 [unknown] (/usr/lib/libc.so.6)

swapper     0 [000] 9876.543410: 10101010 cpu-clock:pppH: 
\tffffffff8100abcd default_idle+0x1f ([kernel.kallsyms])
\t               0 [unknown] ([unknown])

";

fn read(text: &str) -> (String, Skipped) {
    let import = decode(text.as_bytes(), Format::PerfScript, &Options::default()).expect("valid");
    (outline(&import), import.skipped)
}

#[test]
fn each_event_is_a_profile_with_samples_and_periods() {
    let expected = "\
[process_cpu samples:count cycles:u:count]
my prog;0x7f12c0de0000 (libc.so.6);main;inner(int, char) 2,1000000
[process_cpu samples:count cpu:nanoseconds]
swapper;0x0;default_idle 1,10101010
";
    assert_eq!(read(OUTPUT), (expected.to_owned(), Skipped::default()));
    assert_eq!(detect(OUTPUT.as_bytes()), Ok(Format::PerfScript));
}

#[test]
fn headers_of_all_versions_are_read() {
    let check = |line: &str, comm: &str, event: &str, period: i64, rest: &str| {
        assert_eq!(
            header(line),
            Some(Header {
                comm,
                event,
                period,
                rest
            }),
            "{line}"
        );
    };
    check("perf 1 1.5: cycles:", "perf", "cycles", 1, "");
    check(
        "perf 1 [000] 1.5: 77 cycles:u: ",
        "perf",
        "cycles:u",
        77,
        "",
    );
    check(
        "  Web Content 1/2 [003] 100.123456:     1 sched:sched_switch: prev_comm=a b: c",
        "Web Content",
        "sched:sched_switch",
        1,
        "prev_comm=a b: c",
    );
    check(
        "java 1 1.5: 1 cycles: ffff f+0x1 (a)",
        "java",
        "cycles",
        1,
        "ffff f+0x1 (a)",
    );
    check(":-1 -1/-1 [000] 1.5: 1 cycles:", ":-1", "cycles", 1, "");
    for line in [
        "",
        "a;b 1",
        "perf 1 [000] 1: cycles:",
        "\t ffff f+0x1 (a)",
        "1.5: 1 cycles:",
        "main.c: 12",
        "a b 1.5: c:",
    ] {
        assert_eq!(header(line), None, "{line}");
    }
}

#[test]
fn lines_outside_of_samples_are_counted() {
    let (text, skipped) = read("Warning: x\n\nperf 1 1.5: 7 cycles:\n\n");
    assert_eq!(text, "[process_cpu samples:count cycles:count]\nperf 1,7\n");
    assert_eq!(
        skipped,
        Skipped {
            count: 1,
            first: Some((1, "neither the header of a sample nor a frame of one"))
        }
    );
    let error =
        decode(b"main;work 3\n", Format::PerfScript, &Options::default()).expect_err("folded");
    assert!(
        error
            .to_string()
            .starts_with("invalid perf script output: line 1: neither the header"),
        "{error}"
    );
}

#[test]
fn deleted_module_does_not_change_the_name() {
    let (text, _) = read("a 1 1.5: 7 cycles:\n\tff f(int)+0x1 (/tmp/x (deleted))\n\n");
    assert_eq!(
        text,
        "[process_cpu samples:count cycles:count]\na;f(int) 1,7\n"
    );
}

#[test]
fn name_of_an_event_is_shortened_to_the_limit() {
    let input = format!("a 1 1.5: 7 {}:\n\n", "e".repeat(100));
    let mut options = Options::default();
    options.limits.string = 8;
    let import = decode(input.as_bytes(), Format::PerfScript, &options).expect("valid");
    assert_eq!(
        outline(&import),
        "[process_cpu samples:count eeeee…:count]\na 1,7\n"
    );
}

#[test]
fn number_of_events_is_limited() {
    let output = |events: usize| {
        let sample = |event| format!("a 1 1.5: 7 e{event}:\n\n");
        let text: String = (0..events).map(sample).collect();
        decode(text.as_bytes(), Format::PerfScript, &Options::default())
    };
    assert_eq!(output(64).map(|import| import.profiles.len()), Ok(64));
    let error = output(65).expect_err("too many").to_string();
    assert!(error.contains("65 events; the limit is 64"), "{error}");
}
