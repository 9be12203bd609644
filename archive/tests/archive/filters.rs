//! `focus`, `ignore`, `hide` and `show` mean what they mean in `go tool pprof`, `path` selects a subtree, and all views agree.

use crate::support::World;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits, Profile, folded, gzip, pprof};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn decode(bytes: &[u8]) -> Profile {
    let limits = Limits::default();
    let bytes = gzip::unpack(bytes, &limits).expect("gzip");
    pprof::decode(&bytes, &limits).expect("pprof")
}

fn encoded(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    bytes.concat()
}

/// Values by stack.
fn stacks(text: &str) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let (stack, value) = line.rsplit_once(' ').expect("a stack and a value");
        let value: i64 = value.parse().expect("a number");
        *all.entry(stack.to_owned()).or_insert(0) += value;
    }
    all
}

fn stacks_of(profile: &Profile, sample_type: usize) -> BTreeMap<String, i64> {
    let mut tree = FlameTree::new();
    tree.add_profile(profile, sample_type, Grain::Function);
    stacks(&folded::encode(&tree))
}

/// A profile after the filters of `go tool pprof`.
fn filtered(file: &Path, filters: &[(&str, &str)]) -> Profile {
    let folder = file.parent().expect("a folder");
    let out = folder.join("filtered.pb.gz");
    let output = Command::new("go")
        .args(["tool", "pprof", "-proto", "-symbolize=none"])
        .arg(format!("-output={}", out.display()))
        .args(
            filters
                .iter()
                .map(|(name, pattern)| format!("-{name}={pattern}")),
        )
        .arg(file)
        .env("PPROF_BINARY_PATH", folder)
        .env("PPROF_TMPDIR", folder)
        .output()
        .expect("this test needs `go tool pprof`: install Go (Debian: apt-get install golang-go)");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    decode(&std::fs::read(&out).unwrap_or_else(|_| panic!("no output: {error}")))
}

/// A pushed profile, and the query of its last sample type.
struct Pushed {
    world: World,
    range: String,
    kind: String,
    sample_type: usize,
}

impl Pushed {
    async fn new(bytes: &[u8]) -> Self {
        let (world, profile) = (World::new(), decode(bytes));
        let labels = [("service_name", "s"), ("__name__", "p")];
        let (status, answer) = world.push("", &labels, "", bytes).await;
        assert_eq!(status, 200, "{answer}");
        let range = match profile.time_nanos / 1_000_000 {
            0 => world.range(""),
            time => format!("from={}&until={}", time - 1_000, time + 1_000),
        };
        let text = |id| profile.text(id);
        let sample_type = profile.sample_types.len() - 1;
        let (of, period) = (profile.sample_types[sample_type], profile.period_type);
        let parts = [of.kind, of.unit, period.kind, period.unit].map(text);
        let kind = format!("p:{}", parts.join(":"));
        Self {
            world,
            range,
            kind,
            sample_type,
        }
    }

    async fn get(&self, view: &str, rest: &str) -> Vec<u8> {
        let (range, kind) = (&self.range, encoded(&self.kind));
        let path = format!("/api/v1/profiles/{view}?{range}&type={kind}{rest}");
        let (status, body) = self.world.get_as("anonymous", &path).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// Values by stack, after all views were compared.
    async fn all_views(&self, rest: &str) -> BTreeMap<String, i64> {
        let folded = self.get("folded", rest).await;
        let folded = stacks(std::str::from_utf8(&folded).expect("text"));
        let total: i64 = folded.values().sum();
        let profile = decode(&self.get("pprof", rest).await);
        assert_eq!(stacks_of(&profile, 0), folded, "pprof{rest}");
        let top: Value =
            serde_json::from_slice(&self.get("top", &format!("{rest}&limit=100000")).await)
                .expect("JSON");
        assert_eq!(top["total"], total, "top{rest}");
        let functions = top["functions"].as_array().expect("a list");
        let own = functions
            .iter()
            .map(|of| of["self"].as_i64().expect("a number"));
        assert_eq!(own.sum::<i64>(), total, "top{rest}");
        assert!(
            functions.iter().all(|of| of["total"] != 0),
            "top{rest}: {functions:?}"
        );
        let flame: Value =
            serde_json::from_slice(&self.get("flamegraph", rest).await).expect("JSON");
        assert_eq!(flame["total"], total, "flamegraph{rest}");
        assert!(
            nodes(&flame)[1..].iter().all(|node| node["total"] != 0),
            "flamegraph{rest}"
        );
        let image = String::from_utf8(self.get("svg", rest).await).expect("text");
        let diff: Value = serde_json::from_slice(&self.get("diff", rest).await).expect("JSON");
        assert_eq!(diff["tree"]["total"], total, "diff{rest}");
        for stack in folded
            .keys()
            .filter(|stack| !stack.contains(['<', '&', '"', '%']))
        {
            let leaf = stack.rsplit(';').next().expect("a frame");
            assert!(image.contains(leaf), "svg{rest}: {leaf}");
        }
        folded
    }
}

fn nodes(node: &Value) -> Vec<&Value> {
    let children = node["children"].as_array().expect("a list");
    let below = children.iter().flat_map(nodes);
    std::iter::once(node).chain(below).collect()
}

#[tokio::test]
async fn filters_select_the_samples_that_go_tool_pprof_selects() {
    let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiler/profile/tests/agents");
    let scratch = tempfile::tempdir().expect("a folder");
    let cases: [(&str, &[(&str, &str)]); 14] = [
        ("go-cpu.pb.gz", &[("focus", "sha256")]),
        ("go-cpu.pb.gz", &[("focus", r"^main\.order$")]),
        ("go-cpu.pb.gz", &[("focus", r"zsortordered\.go")]),
        ("go-cpu.pb.gz", &[("focus", "agent")]),
        ("go-cpu.pb.gz", &[("ignore", "Digest|^cmpbody")]),
        ("go-cpu.pb.gz", &[("hide", r"^runtime[./]")]),
        (
            "go-cpu.pb.gz",
            &[("hide", r"\(\*Digest\)"), ("focus", "checkSum")],
        ),
        (
            "go-cpu.pb.gz",
            &[
                ("focus", "Sum256"),
                ("ignore", "blockSHANI"),
                ("hide", "pprof"),
            ],
        ),
        ("go-heap.pb.gz", &[("hide", "main")]),
        (
            "rust-cpu.pb.gz",
            &[("focus", "main"), ("hide", "std::|core::")],
        ),
        ("java-cpu.pb.gz", &[("ignore", "java/util")]),
        ("go-cpu.pb.gz", &[("show", r"^main\.")]),
        (
            "go-cpu.pb.gz",
            &[
                ("show", r"main|sha256"),
                ("hide", "write"),
                ("focus", "runtime"),
            ],
        ),
        ("java-cpu.pb.gz", &[("show", "java/util")]),
    ];
    for (name, filters) in cases {
        let bytes = std::fs::read(agents.join(name)).expect("a file");
        let pushed = Pushed::new(&bytes).await;
        let file = scratch.path().join(name);
        std::fs::write(&file, &bytes).expect("written");
        let expected = stacks_of(&filtered(&file, filters), pushed.sample_type);
        let rest: Vec<String> = filters
            .iter()
            .map(|(name, pattern)| format!("&{name}={}", encoded(pattern)))
            .collect();
        let rest = rest.concat();
        let all = pushed.all_views("").await;
        let found = pushed.all_views(&rest).await;
        assert_eq!(found, expected, "{name} {filters:?}");
        // The module of all frames of the program is `agent`.
        let is_all = *filters == [("focus", "agent")];
        assert!(!found.is_empty(), "{name} {filters:?}");
        assert_eq!(found == all, is_all, "{name} {filters:?}");
    }
}

#[tokio::test]
async fn path_selects_a_subtree_with_exact_totals_at_any_depth() {
    let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiler/profile/tests/agents");
    let bytes = std::fs::read(agents.join("go-cpu.pb.gz")).expect("a file");
    let pushed = Pushed::new(&bytes).await;
    for rest in ["", "&by=operation", "&hide=%5Eruntime"] {
        let whole = pushed.all_views(rest).await;
        let pruned = pushed
            .get("flamegraph", &format!("{rest}&max_nodes=12"))
            .await;
        let pruned: Value = serde_json::from_slice(&pruned).expect("JSON");
        let hidden = nodes(&pruned)
            .iter()
            .filter(|node| node["hidden_children"] != Value::Null)
            .count();
        assert!(hidden > 0, "{rest}: {pruned}");
        // Every node of the pruned graph is asked for again.
        let mut open = vec![(&pruned, String::new(), String::new())];
        let mut asked = 0;
        while let Some((node, path, prefix)) = open.pop() {
            for child in node["children"].as_array().expect("a list") {
                let name = child["name"].as_str().expect("text");
                let path = format!("{path}&path={}", encoded(name));
                let prefix = if prefix.is_empty() {
                    name.to_owned()
                } else {
                    format!("{prefix};{name}")
                };
                let is_below =
                    |stack: &str| stack == prefix || stack.starts_with(&format!("{prefix};"));
                let expected: BTreeMap<String, i64> = whole
                    .iter()
                    .filter(|(stack, _)| is_below(stack))
                    .map(|(stack, value)| (stack.clone(), *value))
                    .collect();
                let found = pushed.all_views(&format!("{rest}{path}")).await;
                assert_eq!(found, expected, "{rest} {prefix}");
                assert_eq!(child["total"], found.values().sum::<i64>(), "{prefix}");
                asked += 1;
                open.push((child, path, prefix));
            }
        }
        assert!(asked >= 10, "{asked}");
    }
    // A path begins at the root and leaves out no frame.
    let elsewhere = [
        "&path=nothing",
        "&path=main.hash",
        "&path=main.write.func1&path=main.hash",
    ];
    for path in elsewhere {
        assert!(pushed.all_views(path).await.is_empty(), "{path}");
    }
}
