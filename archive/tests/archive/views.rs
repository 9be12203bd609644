//! All views of a query agree, and the pprof profile that comes out is the one that went in.

use crate::support::drawn::check_drawn;
use crate::support::{World, symbols};
use davy_base::Random;
use davy_profile::flame::Grain;
use davy_profile::symbol_index::{Builder, SymbolFrame};
use davy_profile::{
    FlameTree, Function, Label, LabelValue, Limits, Line, Mapping, Profile, folded, gzip, pprof,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Names that some format or tool treats specially.
const NAMES: [&str; 18] = [
    "main",
    "a;b",
    "worker 7",
    "12",
    " x",
    "tab\there",
    "<alloc::vec::Vec<u8> as core::clone::Clone>::clone",
    "\"quoted\" 'name'",
    "&amp;",
    "naïve 🔥",
    "שלום",
    "100%3B",
    "back\\slash",
    "class@anonymous\0/p.php",
    "",
    "(anonymous)",
    "op=Pay",
    "line\nbreak",
];

const VALUES: [i64; 9] = [
    1,
    2,
    999,
    -5,
    0,
    1 << 40,
    10_000_000,
    i64::MAX / 64,
    i64::MIN / 64,
];

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len() as u64) as usize]
}

/// A profile with every odd feature.
fn random_profile(seed: u64, now: i64) -> Profile {
    let random = &mut Random::seeded(seed);
    let mut p = Profile::new();
    p.add_sample_type("alloc_objects", "count");
    p.add_sample_type("alloc_space", "bytes");
    p.period_type = p.sample_types[1];
    p.period = 524_288;
    p.time_nanos = now;
    p.duration_nanos = 9_999_999_999;
    p.default_sample_type = p.sample_types[1].kind;
    p.doc_url = p.strings.intern("https://example.org/heap");
    let comment = p.strings.intern("a comment");
    p.comments.push(comment);
    for at in 0..3u64 {
        let file = p
            .strings
            .intern(["/bin/app", "/lib/libc.so.6", "/bin/app"][at as usize]);
        let build_id = p.strings.intern(["aa", "bb", "aa"][at as usize]);
        p.mappings.push(Mapping {
            start: 0x40_0000 + at * 0x100_0000,
            limit: 0x50_0000 + at * 0x100_0000,
            file_offset: at * 0x1000,
            file,
            build_id,
            has_functions: at == 0,
            ..Mapping::default()
        });
    }
    let mut locations = Vec::new();
    for _ in 0..24 {
        let mapping = random.below(4) as u32;
        let mapping = (mapping < 3).then_some(mapping);
        let base = mapping.map_or(0, |at| p.mappings[at as usize].start);
        let address = base + 1 + random.below(64);
        let mut lines = Vec::new();
        for _ in 0..random.below(4) {
            let (name, file) = (
                p.strings.intern(pick::<&str>(random, &NAMES)),
                random.below(3),
            );
            let system_name = if random.below(2) == 0 {
                ""
            } else {
                "_ZN4mainE"
            };
            let function = Function {
                name,
                system_name: p.strings.intern(system_name),
                file: p.strings.intern(["", "main.rs", "lib.rs"][file as usize]),
                start_line: random.below(3) as i64,
            };
            lines.push(Line {
                function: p.function(function),
                line: 1 + random.below(40) as i64,
                column: random.below(2) as i64,
            });
        }
        // Of a function without a mapping, one address is kept.
        let address = if mapping.is_none() && !lines.is_empty() {
            7
        } else {
            address
        };
        locations.push(p.location(mapping, address, &lines));
    }
    let (key, text, bytes, unit) = (
        p.strings.intern("thread"),
        p.strings.intern("pool 1"),
        p.strings.intern("bytes"),
        p.strings.intern("bytes"),
    );
    for _ in 0..60 {
        let depth = random.below(7);
        let path: Vec<u32> = (0..depth).map(|_| *pick(random, &locations)).collect();
        let stack = p.stack(path);
        let mut labels = Vec::new();
        if random.below(3) == 0 {
            labels.push(Label {
                key,
                value: LabelValue::Text(text),
            });
        }
        if random.below(2) == 0 {
            let number = [16, 4_096][random.below(2) as usize];
            labels.push(Label {
                key: bytes,
                value: LabelValue::Number(number, unit),
            });
        }
        labels.sort_by_key(|label| p.strings.get(label.key).to_owned());
        let labels = p.label_sets.intern(&labels);
        let values = [*pick(random, &VALUES), *pick(random, &VALUES)];
        p.add_sample(stack, labels, &values);
    }
    p
}

/// The samples of a profile in words: a stack from leaf to root and labels, with their values.
fn samples(p: &Profile) -> BTreeMap<String, Vec<i64>> {
    let text = |id| p.text(id);
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for sample in 0..p.sample_count() {
        let mut words = String::new();
        for location in p.stacks.leaf_to_root(p.samples.stacks[sample]) {
            let location = &p.locations[location as usize];
            words.push_str(&format!("{:#x}", location.address));
            if let Some(at) = location.mapping {
                let m = &p.mappings[at as usize];
                words.push_str(&format!(
                    " in {} {} {:#x}-{:#x}@{:#x} {}",
                    text(m.file),
                    text(m.build_id),
                    m.start,
                    m.limit,
                    m.file_offset,
                    m.has_functions
                ));
            }
            for line in p.lines_of(location) {
                let f = &p.functions[line.function as usize];
                words.push_str(&format!(
                    " [{:?} {:?} {:?} {} {}:{}]",
                    text(f.name),
                    text(f.system_name),
                    text(f.file),
                    f.start_line,
                    line.line,
                    line.column
                ));
            }
            words.push('\n');
        }
        for label in p.label_sets.get(p.samples.labels[sample]) {
            let value = match label.value {
                LabelValue::Text(value) => format!("{:?}", text(value)),
                LabelValue::Number(value, unit) => format!("{value} {}", text(unit)),
            };
            words.push_str(&format!("{}={value} ", text(label.key)));
        }
        let sums = all
            .entry(words)
            .or_insert_with(|| vec![0; p.sample_types.len()]);
        for (sum, value) in sums.iter_mut().zip(p.values(sample)) {
            *sum = sum.saturating_add(*value);
        }
    }
    all.retain(|_, values| values.iter().any(|value| *value != 0));
    all
}

/// Fails with the entries that differ.
fn same<V: PartialEq + std::fmt::Debug>(
    got: &BTreeMap<String, V>,
    expected: &BTreeMap<String, V>,
    seed: u64,
) {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(key, value)| got.get(*key) != Some(value))
        .collect();
    let unexpected: Vec<_> = got
        .iter()
        .filter(|(key, value)| expected.get(*key) != Some(value))
        .collect();
    assert!(
        missing.is_empty() && unexpected.is_empty(),
        "seed {seed}\nexpected {missing:#?}\ngot {unexpected:#?}"
    );
}

/// Everything of a profile except its samples.
fn facts(p: &Profile) -> String {
    let text = |id| p.text(id).to_owned();
    let types: Vec<String> = p
        .sample_types
        .iter()
        .map(|of| text(of.kind) + "/" + &text(of.unit))
        .collect();
    let comments: Vec<String> = p.comments.iter().map(|id| text(*id)).collect();
    format!(
        "{types:?} {} {} {}/{} {} {} {comments:?} {} drop {} keep {}",
        text(p.default_sample_type),
        p.period,
        text(p.period_type.kind),
        text(p.period_type.unit),
        p.time_nanos,
        p.duration_nanos,
        text(p.doc_url),
        text(p.drop_frames),
        text(p.keep_frames),
    )
}

async fn push(world: &World, service: &str, profile: &Profile) {
    let labels = [("service_name", service), ("__name__", "memory")];
    let body = gzip::compress(&pprof::encode(profile));
    let (status, answer) = world.push("", &labels, "", &body).await;
    assert_eq!(status, 200, "{answer}");
}

async fn get(world: &World, view: &str, rest: &str) -> Vec<u8> {
    let path = format!("/api/v1/profiles/{view}?{}", world.range(rest));
    let (status, body) = world.get_as("anonymous", &path).await;
    assert_eq!(status, 200, "{view}: {}", String::from_utf8_lossy(&body));
    body
}

fn decoded(body: &[u8]) -> Profile {
    let limits = Limits::default();
    let raw = gzip::unpack(body, &limits).expect("gzip");
    pprof::decode(&raw, &limits).expect("pprof")
}

const FAMILY: &str = "type=memory:*&selector={service_name=%22web%22}";
const SPACE: &str =
    "type=memory:alloc_space:bytes:alloc_space:bytes&selector={service_name=%22web%22}";

/// The sum of all values of a profile.
fn sum_of(profile: &Profile) -> i128 {
    let values = profile.samples.values.iter();
    values.map(|value| i128::from(*value)).sum()
}

#[tokio::test]
async fn pprof_that_comes_out_is_the_pprof_that_went_in() {
    for seed in 0..60 {
        let world = World::new();
        let profile = random_profile(seed, world.clock.now().nanos());
        push(&world, "web", &profile).await;
        let back = decoded(&get(&world, "pprof", FAMILY).await);
        same(&samples(&back), &samples(&profile), seed);
        assert_eq!(facts(&back), facts(&profile), "seed {seed}");
        // Pushed again as another service, it gives the same answer.
        push(&world, "again", &back).await;
        let again = decoded(&get(&world, "pprof", &FAMILY.replace("web", "again")).await);
        same(&samples(&again), &samples(&profile), seed);
    }
}

/// Self and total of each function by name, of a tree in JSON.
fn by_name(tree: &Value) -> BTreeMap<String, (i128, i128)> {
    fn visit(node: &Value, open: &mut Vec<String>, all: &mut BTreeMap<String, (i128, i128)>) {
        let name = node["name"].as_str().expect("a name").to_owned();
        let number = |key: &str| i128::from(node[key].as_i64().expect("a number"));
        let sums = all.entry(name.clone()).or_default();
        sums.0 += number("self");
        if !open.contains(&name) {
            sums.1 += number("total");
        }
        open.push(name);
        for child in node["children"].as_array().expect("children") {
            visit(child, open, all);
        }
        open.pop();
    }
    let mut all = BTreeMap::new();
    for child in tree["children"].as_array().expect("children") {
        visit(child, &mut Vec::new(), &mut all);
    }
    all
}

#[tokio::test]
async fn all_views_agree_on_the_total_and_on_every_function() {
    for seed in 0..60 {
        let world = World::new();
        let profile = random_profile(seed, world.clock.now().nanos());
        push(&world, "web", &profile).await;
        let mut tree = FlameTree::new();
        tree.add_profile(&profile, 1, Grain::Function);
        check_views(&world, tree, seed).await;
    }
}

/// An index of half of the addresses of [`random_profile`], with up to three functions at each.
fn random_index(seed: u64, build_id: &str) -> Vec<u8> {
    let random = &mut Random::seeded(seed);
    let mut index = Builder::new(build_id, "app");
    for address in 0..0x2100u64 {
        if random.below(2) == 0 {
            continue;
        }
        let frames: Vec<SymbolFrame> = (0..random.below(4))
            .map(|_| SymbolFrame {
                function: index.string(pick::<&str>(random, &NAMES)),
                file: index.string(["", "main.rs", "lib.rs"][random.below(3) as usize]),
                line: random.below(40) as u32,
            })
            .collect();
        index.add(address, 1, &frames);
    }
    symbols::written(index)
}

#[tokio::test]
async fn names_that_follow_later_change_no_total_and_all_views_agree_on_them() {
    let mut named = 0;
    for seed in 0..60 {
        let world = World::new();
        let profile = random_profile(seed, world.clock.now().nanos());
        push(&world, "web", &profile).await;
        let before = decoded(&get(&world, "pprof", SPACE).await);
        for build_id in ["aa", "bb"] {
            symbols::store(&world, build_id, random_index(seed, build_id)).await;
        }
        let after = decoded(&get(&world, "pprof", SPACE).await);
        assert_eq!(sum_of(&before), sum_of(&after), "seed {seed}");
        named += unnamed(&before) - unnamed(&after);
        let mut tree = FlameTree::new();
        tree.add_profile(&after, 0, Grain::Function);
        check_views(&world, tree, seed).await;
    }
    assert!(named > 60, "{named} locations were named");
}

/// Number of locations of a mapping that have no function.
fn unnamed(profile: &Profile) -> usize {
    let locations = profile.locations.iter();
    locations
        .filter(|of| of.mapping.is_some() && of.line_count == 0)
        .count()
}

/// All views of a world agree with a tree.
async fn check_views(world: &World, tree: FlameTree, seed: u64) {
    let total = i128::from(tree.totals()[0]);
    for rest in [SPACE.to_owned(), format!("{SPACE}&by=thread")] {
        let json: Value =
            serde_json::from_slice(&get(world, "flamegraph", &rest).await).expect("JSON");
        assert_eq!(
            json["total"].as_i64().map(i128::from),
            Some(total),
            "seed {seed} {rest}"
        );
        let top: Value =
            serde_json::from_slice(&get(world, "top", &format!("{rest}&limit=10000")).await)
                .expect("JSON");
        assert_eq!(
            top["total"].as_i64().map(i128::from),
            Some(total),
            "seed {seed} {rest}"
        );
        let series: Value =
            serde_json::from_slice(&get(world, "series", &rest).await).expect("JSON");
        let points = series["series"].as_array().expect("series").iter();
        let points = points.flat_map(|of| of["points"].as_array().expect("points"));
        let sum: i128 = points
            .map(|point| i128::from(point[1].as_i64().expect("a number")))
            .sum();
        assert_eq!(sum, total, "seed {seed} {rest}");
        let stacks = get(world, "folded", &rest).await;
        let stacks = folded::decode(&stacks, &Limits::default()).expect("folded");
        assert_eq!(sum_of(&stacks), total, "seed {seed} {rest}");
        let back = decoded(&get(world, "pprof", &rest).await);
        assert_eq!(sum_of(&back), total, "seed {seed} {rest}");
        let path = format!("/api/v1/profiles/flamegraph?{}", world.range(&rest));
        let request = axum::http::Request::get(path).body(axum::body::Body::empty());
        let (status, binary) = world.call(request.expect("a request")).await;
        assert_eq!(status, 200);
        let svg = String::from_utf8(get(world, "svg", &rest).await).expect("UTF-8");
        check_drawn(&json, &binary, &svg, &format!("seed {seed} {rest}"));
        if rest.contains("by=") {
            continue;
        }
        // Rows of the table are functions; functions of the same name in several files are several rows.
        let mut rows: BTreeMap<String, i128> = BTreeMap::new();
        for row in top["functions"].as_array().expect("functions") {
            let name = row["name"].as_str().expect("a name").to_owned();
            *rows.entry(name).or_default() += i128::from(row["self"].as_i64().expect("a number"));
        }
        let nodes = by_name(&json);
        let own = |nodes: &BTreeMap<String, (i128, i128)>| -> BTreeMap<String, i128> {
            nodes
                .iter()
                .map(|(name, sums)| (name.clone(), sums.0))
                .collect()
        };
        assert_eq!(rows, own(&nodes), "seed {seed}");
        let mut exported = FlameTree::new();
        exported.add_profile(&back, 0, Grain::Function);
        assert_eq!(exported.totals()[0], tree.totals()[0]);
        let rows = |tree: &FlameTree| {
            let rows = functions(tree)
                .into_iter()
                .map(|row| (format!("{row:?}"), true));
            rows.collect::<BTreeMap<_, _>>()
        };
        same(&rows(&exported), &rows(&tree), seed);
    }
}

fn functions(tree: &FlameTree) -> Vec<(String, String, i64, i64)> {
    let mut all: Vec<_> = tree
        .top(usize::MAX)
        .into_iter()
        .filter(|of| (of.own, of.total) != (0, 0))
        .map(|of| (of.name, of.file, of.own, of.total))
        .collect();
    all.sort();
    all
}
