//! Inputs from which fuzzing starts: the files of the decoders' own tests, and small ones written here.

use davy_profile::wire::Writer;
use davy_profile::{LabelSetId, Limits, Profile, gzip as gz, pprof as codec};
use std::path::Path;

/// The content of a file of the workspace, decompressed.
fn file(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let unpacked = gz::unpack(&bytes, &Limits::default()).expect("a valid file");
    unpacked.into_owned()
}

fn import(name: &str) -> Vec<u8> {
    file(&format!("profiler/import/tests/data/{name}"))
}

/// Profiles of agents.
const AGENTS: [&str; 10] = [
    "go-cpu",
    "go-goroutine",
    "go-heap",
    "java-alloc",
    "java-cpu",
    "node-heap",
    "node-wall",
    "python-cpu",
    "ruby-wall",
    "rust-cpu",
];

fn small_profile() -> Profile {
    let mut profile = Profile::new();
    profile.add_sample_type("cpu", "nanoseconds");
    let locations = [
        profile.named_location("main"),
        profile.named_location("work"),
    ];
    let stack = profile.stack(locations);
    profile.add_sample(stack, LabelSetId(0), &[7]);
    let labels = profile.text_labels(&[("member", "gc"), ("op", "Sweep")]);
    profile.add_sample(stack, labels, &[-1]);
    profile
}

pub(crate) fn pprof() -> Vec<Vec<u8>> {
    let agent = |name: &&str| file(&format!("profiler/profile/tests/agents/{name}.pb.gz"));
    let mut seeds: Vec<_> = AGENTS.iter().map(agent).collect();
    seeds.push(codec::encode(&small_profile()));
    seeds
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const AUSTIN: &str = "# austin: 3.6.0\n# interval: 100\n# mode: wall\n\nP7;T7;a.py:f:1 250\nP7;T7;a.py:g:2 1.5e1\n\
                      # duration: 9\n";

pub(crate) fn folded() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        "main;work 40\nmain;io 2.5\nmain;x 1e3\n",
        "(no stack) 7\na%3Bb;%28no stack) 3\n%20a;b%0Ac 1\na 2",
        AUSTIN,
    ]);
    seeds.extend([import("austin-wall.txt"), import("austin-full.txt")]);
    seeds
}

pub(crate) fn lines() -> Vec<Vec<u8>> {
    let mut seeds = texts(&["main;work\nmain;io\n", "# x\na;b\r\na;b\n\na\n"]);
    seeds.push(b"\xff\xfea\0;\0b\0\n\0".to_vec());
    seeds
}

pub(crate) fn tree() -> Vec<Vec<u8>> {
    vec![b"\0\0\x02\x04main\x01\x02\x01a\x02\0\x01b\xac\x02\0\x04idle\x04\0".to_vec()]
}

pub(crate) fn trie() -> Vec<Vec<u8>> {
    vec![b"\0\0\x02\x05main;\0\x02\x03wor\0\x01\x01k\x05\0\x02io\x08\0\x01x\x09\0".to_vec()]
}

const SPEEDSCOPE: &str = r#"{"$schema":"https://www.speedscope.app/file-format-schema.json","shared":{"frames":[{"name":"a\u00e9"},{"name":"b","file":"f","line":1}]},"profiles":[{"type":"evented","name":"t","unit":"milliseconds","startValue":0,"endValue":9,"events":[{"type":"O","frame":0,"at":1},{"type":"O","frame":1,"at":2.5},{"type":"C","frame":1,"at":4},{"type":"C","frame":0,"at":5}]},{"type":"sampled","name":"s","unit":"bytes","startValue":0,"endValue":2,"samples":[[0,1],[0]],"weights":[1,2]}]}"#;
const CPU_PROFILE: &str = r#"{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","url":"","lineNumber":-1,"columnNumber":-1},"children":[2]},{"id":2,"callFrame":{"functionName":"f","url":"a.js","lineNumber":3,"columnNumber":1},"hitCount":2}],"startTime":10,"endTime":90,"samples":[2,2],"timeDeltas":[5,7]}"#;
const HEAP_PROFILE: &str = r#"{"head":{"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},"selfSize":0,"children":[{"callFrame":{"functionName":"f","url":"a.js","lineNumber":3},"selfSize":77,"children":[]}]}}"#;
const PERF_SCRIPT: &str =
    "a b 1/2 [001] 7.5:  10 cycles:u: \n\tffff f(int)+0x1 (/bin/x)\n\t7f [unknown] (/lib/c.so)\n\n";

pub(crate) fn speedscope() -> Vec<Vec<u8>> {
    vec![SPEEDSCOPE.into(), import("py-spy.speedscope.json")]
}

pub(crate) fn jfr() -> Vec<Vec<u8>> {
    ["agent.jfr.gz", "async-profiler.jfr.gz", "jdk.jfr.gz"]
        .map(import)
        .into()
}

pub(crate) fn jfr_labels() -> Vec<Vec<u8>> {
    vec![import("agent.labels.gz")]
}

pub(crate) fn perf_script() -> Vec<Vec<u8>> {
    vec![PERF_SCRIPT.into(), import("perf-script.txt")]
}

pub(crate) fn cpuprofile() -> Vec<Vec<u8>> {
    vec![CPU_PROFILE.into(), import("node.cpuprofile")]
}

pub(crate) fn heapprofile() -> Vec<Vec<u8>> {
    vec![HEAP_PROFILE.into(), import("node.heapprofile")]
}

pub(crate) fn detect() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        SPEEDSCOPE,
        CPU_PROFILE,
        HEAP_PROFILE,
        PERF_SCRIPT,
        AUSTIN,
        "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>",
        "[{\"ph\":\"X\"}]",
        "go 1.22 trace\0\0\0",
        "PK\x03\x04",
    ]);
    seeds.extend([tree(), trie(), lines()].concat());
    seeds.push(codec::encode(&small_profile()));
    seeds
}

pub(crate) fn gzip() -> Vec<Vec<u8>> {
    let text = gz::compress(b"main;work 42\n");
    let twice = [text.clone(), gz::compress(&[7; 300])].concat();
    let padded = [text.clone(), vec![0; 20]].concat();
    vec![text, twice, padded, gz::compress(&vec![0; 2 << 20])]
}

pub(crate) fn selector() -> Vec<Vec<u8>> {
    texts(&[
        "",
        "{}",
        "{ service_name = \"web\" , member=~\"gc.*\", }",
        "{member=~`[\\w-]+[.]\\w+`,op!~'(?i)sw\\w+'}",
        "{\"service name\"=\"a\\\"\\n\\t\\\\b\",op!=\"\"}",
    ])
}

pub(crate) fn segment() -> Vec<Vec<u8>> {
    vec![crate::targets::archive::stored_segment()]
}

fn with_line(line: &str, body: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", body].concat()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).expect("compressing memory cannot fail")
}

pub(crate) fn body() -> Vec<Vec<u8>> {
    let text = b"main;work 42\n";
    vec![
        with_line("gzip", &gz::compress(text)),
        with_line("zstd", &zstd(text)),
        with_line("zstd", &zstd(&vec![0; 4 << 20])),
        with_line("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0]),
        with_line("identity", text),
        with_line("br", text),
    ]
}

fn push_request(labels: &[(&str, &str)], id: &str, profile: &[u8]) -> Vec<u8> {
    let mut series = Writer::default();
    for (name, value) in labels {
        let mut pair = Writer::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        series.bytes(1, pair.as_bytes());
    }
    let mut sample = Writer::default();
    sample.bytes(1, profile);
    sample.bytes(2, id.as_bytes());
    series.bytes(2, sample.as_bytes());
    let mut request = Writer::default();
    request.bytes(1, series.as_bytes());
    request.into_bytes()
}

pub(crate) fn push() -> Vec<Vec<u8>> {
    let labels = [("service_name", "web"), ("__name__", "process_cpu")];
    let profile = codec::encode(&small_profile());
    let json = br#"{"series":[{"labels":[{"name":"service_name","value":"web"}],"samples":[{"rawProfile":"CgQIARACEgcKAgIBEgEHEhwKAgIBEgr///////////8BGgQIBRAGGgQIBxAIIgYIASICCAEiBggCIgIIAioECAEQAyoECAIQBDIAMgNjcHUyC25hbm9zZWNvbmRzMgRtYWluMgR3b3JrMgZtZW1iZXIyAmdjMgJvcDIFU3dlZXA=","ID":"1"}]}]}"#;
    vec![
        with_line("application/proto", &push_request(&labels, "1", &profile)),
        with_line(
            "application/proto",
            &push_request(&labels, "", &gz::compress(&profile)),
        ),
        with_line("application/json", json),
    ]
}

pub(crate) fn ingest() -> Vec<Vec<u8>> {
    let profile = codec::encode(&small_profile());
    let part = |name: &str, body: &[u8]| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n"
        );
        [head.as_bytes(), body, b"\r\n"].concat()
    };
    let config =
        br#"{"cpu":{"units":"samples","display-name":"x","aggregation":"sum","sampled":true}}"#;
    let form = [
        part("profile", &profile),
        part("sample_type_config", config),
        b"--b--\r\n".to_vec(),
    ]
    .concat();
    let cases: &[(&str, &[u8])] = &[
        (
            "name=web.cpu%7Bregion%3Deu%7D&from=1795307390&until=now",
            b"main;work 42\n",
        ),
        (
            "name=a.itimer&format=folded&sampleRate=97&units=samples",
            b"a;b 1\n",
        ),
        ("name=a&format=lines&aggregationType=average", b"a;b\n"),
        ("name=a&format=speedscope", SPEEDSCOPE.as_bytes()),
        ("name=a\tbinary/octet-stream+tree", &tree()[0]),
        ("name=a\tbinary/octet-stream+trie", &trie()[0]),
        ("name=a&format=pprof", &profile),
        ("name=a\tmultipart/form-data; boundary=b", &form),
        ("name=a\t\tgzip", &gz::compress(AUSTIN.as_bytes())),
        ("name=a\t\tzstd", &zstd(PERF_SCRIPT.as_bytes())),
        ("name=a", CPU_PROFILE.as_bytes()),
        ("name=a", HEAP_PROFILE.as_bytes()),
    ];
    cases
        .iter()
        .map(|(line, body)| with_line(line, body))
        .collect()
}

pub(crate) fn query() -> Vec<Vec<u8>> {
    texts(&[
        "types",
        "types?type=cpu&selector=%7Bservice_name%3D%22web%22%7D&from=now-1h&until=now",
        "labels?name=region&type=cpu",
        "series?type=cpu&by=region,service_name&step=15s&all_services=true",
        "flamegraph?type=cpu&all_services=true&max_nodes=10&focus=work&ignore=x&hide=main",
        "diff?type=cpu&all_services=true&base_selector=%7B%7D&base_from=1795300000&base_until=1795307400",
        "top?type=process_cpu:cpu:nanoseconds:cpu:nanoseconds&all_services=true&limit=3",
        "pprof?type=process_cpu:*&all_services=true",
        "folded?type=cpu&all_services=true",
        "svg?type=cpu&all_services=true&hide=(%3Fi)MAIN",
    ])
}
