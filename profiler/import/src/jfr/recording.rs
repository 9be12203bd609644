//! Writes small recordings, for tests.

const STRING: i64 = 20;
const CLASS: i64 = 21;
const SYMBOL: i64 = 30;
const METHOD: i64 = 31;
const FRAME: i64 = 32;
const STACK: i64 = 33;
const STATE: i64 = 34;
const BOOLEAN: i64 = 4;
const INT: i64 = 10;
const LONG: i64 = 11;
pub(super) const EXECUTION: i64 = 101;
const SETTING: i64 = 102;
pub(super) const IN_NEW_TLAB: i64 = 103;
pub(super) const MONITOR: i64 = 104;
pub(super) const WALL: i64 = 105;
pub(super) const OUTSIDE_TLAB: i64 = 106;
pub(super) const PARK: i64 = 107;
pub(super) const LIVE: i64 = 108;
pub(super) const CPU_TIME: i64 = 109;
pub(super) const MALLOC: i64 = 110;
const THREAD: i64 = 35;
pub(super) const SELF: i64 = 200;
pub(super) const TWICE: i64 = 201;
const EMPTY: i64 = 202;

/// How a field is stored: inline, as the key of a constant, or as an array.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    Inline,
    Constant,
    Array,
}
use Stored::{Array, Constant, Inline};

/// Name, class and storage of a field.
type FieldSpec = (&'static str, i64, Stored);

const CLASSES: &[(i64, &str, &[FieldSpec])] = &[
    (SELF, "app.Self", &[("self", SELF, Inline)]),
    (
        TWICE,
        "app.Twice",
        &[("a", EMPTY, Array), ("b", EMPTY, Array)],
    ),
    (EMPTY, "app.Empty", &[]),
    (STRING, "java.lang.String", &[]),
    (BOOLEAN, "boolean", &[]),
    (INT, "int", &[]),
    (LONG, "long", &[]),
    (
        CLASS,
        "java.lang.Class",
        &[("name", SYMBOL, Constant), ("modifiers", INT, Inline)],
    ),
    (SYMBOL, "jdk.types.Symbol", &[("string", STRING, Inline)]),
    (
        METHOD,
        "jdk.types.Method",
        &[
            ("type", CLASS, Constant),
            ("name", SYMBOL, Constant),
            ("hidden", BOOLEAN, Inline),
        ],
    ),
    (
        FRAME,
        "jdk.types.StackFrame",
        &[("method", METHOD, Constant), ("lineNumber", INT, Inline)],
    ),
    (
        STACK,
        "jdk.types.StackTrace",
        &[("truncated", BOOLEAN, Inline), ("frames", FRAME, Array)],
    ),
    (
        EXECUTION,
        "jdk.ExecutionSample",
        &[
            ("startTime", LONG, Inline),
            ("stackTrace", STACK, Constant),
            ("contextId", LONG, Inline),
            ("state", STATE, Constant),
        ],
    ),
    (STATE, "jdk.types.ThreadState", &[("name", STRING, Inline)]),
    (
        SETTING,
        "jdk.ActiveSetting",
        &[
            ("id", LONG, Inline),
            ("name", STRING, Inline),
            ("value", STRING, Inline),
        ],
    ),
    (
        IN_NEW_TLAB,
        "jdk.ObjectAllocationInNewTLAB",
        &[
            ("stackTrace", STACK, Constant),
            ("allocationSize", LONG, Inline),
            ("tlabSize", LONG, Inline),
        ],
    ),
    (
        OUTSIDE_TLAB,
        "jdk.ObjectAllocationOutsideTLAB",
        &[
            ("stackTrace", STACK, Constant),
            ("allocationSize", LONG, Inline),
        ],
    ),
    (
        MONITOR,
        "jdk.JavaMonitorEnter",
        &[("duration", LONG, Inline), ("stackTrace", STACK, Constant)],
    ),
    (
        PARK,
        "jdk.ThreadPark",
        &[("duration", LONG, Inline), ("stackTrace", STACK, Constant)],
    ),
    (
        WALL,
        "profiler.WallClockSample",
        &[("stackTrace", STACK, Constant), ("samples", INT, Inline)],
    ),
    (
        THREAD,
        "java.lang.Thread",
        &[
            ("osName", STRING, Inline),
            ("osThreadId", LONG, Inline),
            ("javaName", STRING, Inline),
        ],
    ),
    (
        CPU_TIME,
        "jdk.CPUTimeSample",
        &[
            ("startTime", LONG, Inline),
            ("stackTrace", STACK, Constant),
            ("eventThread", THREAD, Constant),
            ("failed", BOOLEAN, Inline),
            ("samplingPeriod", LONG, Inline),
            ("biased", BOOLEAN, Inline),
        ],
    ),
    (
        MALLOC,
        "profiler.Malloc",
        &[
            ("startTime", LONG, Inline),
            ("eventThread", THREAD, Constant),
            ("stackTrace", STACK, Constant),
            ("address", LONG, Inline),
            ("size", LONG, Inline),
        ],
    ),
    (
        LIVE,
        "profiler.LiveObject",
        &[
            ("stackTrace", STACK, Constant),
            ("allocationSize", LONG, Inline),
        ],
    ),
];

fn long(value: i64, out: &mut Vec<u8>) {
    let mut value = value as u64;
    for _ in 0..8 {
        if value < 0x80 {
            return out.push(value as u8);
        }
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(value: &str, out: &mut Vec<u8>) {
    out.push(3);
    long(value.len() as i64, out);
    out.extend_from_slice(value.as_bytes());
}

/// An event: its size in two bytes, its class and its fields.
pub(super) fn event(class: i64, fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    long(class, &mut out);
    out.extend_from_slice(fields);
    let size = out.len() + 2;
    assert!(size < 1 << 14, "the size has two bytes");
    [&[size as u8 | 0x80, (size >> 7) as u8], &out[..]].concat()
}

pub(super) fn longs(values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        long(*value, &mut out);
    }
    out
}

pub(super) fn setting(name: &str, value: &str) -> Vec<u8> {
    let mut fields = longs(&[EXECUTION]);
    text(name, &mut fields);
    text(value, &mut fields);
    event(SETTING, &fields)
}

fn metadata() -> Vec<u8> {
    let mut strings: Vec<String> = Vec::new();
    let mut tree = Vec::new();
    let mut element = |name: &str, attributes: &[(&str, String)], children: usize| {
        let mut index = |text: &str| {
            let found = strings.iter().position(|s| s == text);
            found.unwrap_or_else(|| {
                strings.push(text.to_owned());
                strings.len() - 1
            }) as i64
        };
        long(index(name), &mut tree);
        long(attributes.len() as i64, &mut tree);
        for (key, value) in attributes {
            long(index(key), &mut tree);
            long(index(value), &mut tree);
        }
        long(children as i64, &mut tree);
    };
    element("root", &[], 2);
    element("metadata", &[], CLASSES.len());
    for (id, name, fields) in CLASSES {
        element(
            "class",
            &[("id", id.to_string()), ("name", (*name).to_owned())],
            fields.len(),
        );
        for (name, class, stored) in *fields {
            let mut attributes = vec![("name", (*name).to_owned()), ("class", class.to_string())];
            match stored {
                Constant => attributes.push(("constantPool", "true".to_owned())),
                Array => attributes.push(("dimension", "1".to_owned())),
                Inline => {}
            }
            element("field", &attributes, 0);
        }
    }
    element("region", &[], 0);
    let mut fields = longs(&[0, 0, 1, strings.len() as i64]);
    for string in &strings {
        text(string, &mut fields);
    }
    fields.extend(tree);
    event(0, &fields)
}

/// Stack 1 is Thread.run, App.work; stack 2 is a truncated one with the native function `read`.
fn constants() -> Vec<u8> {
    let mut fields = longs(&[0, 0, 0]);
    fields.push(1);
    fields.extend(longs(&[6, SYMBOL, 5]));
    for (key, symbol) in [
        (1, "java/lang/Thread"),
        (2, "run"),
        (3, "App"),
        (4, "work"),
        (5, "read"),
    ] {
        long(key, &mut fields);
        text(symbol, &mut fields);
    }
    fields.extend(longs(&[CLASS, 2, 1, 1, 0, 2, 3, 0]));
    // Key, class, name, hidden.
    fields.extend(longs(&[METHOD, 3, 1, 1, 2, 0, 2, 2, 4, 0, 3, 0, 5, 0]));
    // Key, truncated, number of frames, then method and line of each.
    fields.extend(longs(&[STACK, 2, 1, 0, 2, 2, 42, 1, 7, 2, 1, 1, 3, 0]));
    fields.extend(longs(&[STATE, 3]));
    for (key, state) in [
        (1, "STATE_DEFAULT"),
        (2, "STATE_RUNNABLE"),
        (3, "STATE_SLEEPING"),
    ] {
        long(key, &mut fields);
        text(state, &mut fields);
    }
    fields.extend(longs(&[THREAD, 2]));
    for (key, system, java) in [(1, "GC Thread#0", ""), (2, "http-1", "http-nio-1")] {
        long(key, &mut fields);
        text(system, &mut fields);
        long(40 + key, &mut fields);
        text(java, &mut fields);
    }
    event(1, &fields)
}

pub(super) fn chunk(events: &[Vec<u8>]) -> Vec<u8> {
    let body: Vec<u8> = [metadata()]
        .iter()
        .chain(events)
        .chain([&constants()])
        .flatten()
        .copied()
        .collect();
    let mut out = b"FLR\0\0\x02\0\x01".to_vec();
    // Size, offsets, start and duration in ns, start in ticks, ticks per second.
    for number in [
        68 + body.len() as i64,
        0,
        68,
        1_700_000_000_000_000_000,
        10_000_000_000,
        0,
        2_000_000_000,
    ] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend(body);
    out
}
