//! The modules of a package form no import cycle.

use davy_tidy::imports::{Imports, of_package, package_roots};
use std::collections::{BTreeMap, BTreeSet};

/// Cycles that are allowed: the files, as their paths end, and the reason.
const ALLOWED: &[(&[&str], &str)] = &[];

#[test]
fn no_package_has_an_import_cycle() {
    let mut found = Vec::new();
    for root in package_roots() {
        let imports = of_package(&root);
        for cycle in cycles(&imports) {
            let is_allowed = ALLOWED.iter().any(|(files, _)| {
                cycle
                    .iter()
                    .all(|file| files.iter().any(|allowed| file.ends_with(allowed)))
            });
            if !is_allowed {
                found.push(describe(&cycle, &imports));
            }
        }
    }
    assert!(
        found.is_empty(),
        "move what both sides need into a module that imports neither:\n\n{}",
        found.join("\n")
    );
}

/// The sets of files that import each other, directly or through others.
fn cycles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in imports.keys() {
        reached.entry(from).or_default().insert(to);
    }
    loop {
        let mut grown = false;
        let files: Vec<&str> = reached.keys().copied().collect();
        for file in files {
            let further: Vec<&str> = reached[file]
                .iter()
                .filter_map(|next| reached.get(next))
                .flatten()
                .copied()
                .collect();
            let set = reached.entry(file).or_default();
            for next in further {
                grown |= set.insert(next);
            }
        }
        if !grown {
            break;
        }
    }
    let mutual = |a: &str, b: &str| {
        let reaches = |a: &str, b: &str| reached.get(a).is_some_and(|set| set.contains(b));
        reaches(a, b) && reaches(b, a)
    };
    let cycles: BTreeSet<BTreeSet<String>> = reached
        .keys()
        .filter(|file| mutual(file, file))
        .map(|file| {
            let others = reached.keys().filter(|other| mutual(file, other));
            others.map(|other| (*other).to_owned()).collect()
        })
        .collect();
    cycles.into_iter().collect()
}

fn describe(cycle: &BTreeSet<String>, imports: &Imports) -> String {
    let short = |file: &str| {
        let root = davy_tidy::root().display().to_string();
        file.trim_start_matches(&root)
            .trim_start_matches('/')
            .to_owned()
    };
    let mut text = format!("import cycle of {} files:\n", cycle.len());
    for ((from, to), named) in imports {
        if cycle.contains(from) && cycle.contains(to) {
            let named: Vec<&str> = named.iter().map(String::as_str).collect();
            let (from, to) = (short(from), short(to));
            text += &format!("  {from} imports {to}: {}\n", named.join(", "));
        }
    }
    text
}

#[test]
fn cycles_through_several_files_are_reported() {
    let arrow = |from: &str, to: &str| ((from.to_owned(), to.to_owned()), BTreeSet::new());
    let imports = Imports::from([
        arrow("a", "b"),
        arrow("b", "c"),
        arrow("c", "a"),
        arrow("c", "d"),
        arrow("d", "e"),
    ]);
    let expected: BTreeSet<String> = ["a", "b", "c"].map(str::to_owned).into();
    assert_eq!(cycles(&imports), [expected]);
}

#[test]
fn imports_are_followed_through_re_exports_and_inline_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("it is written");
    };
    write(
        "lib.rs",
        "mod a;\nmod b;\nmod c;\npub use a::Thing;\nuse b::own;\n",
    );
    write("a.rs", "pub struct Thing;\nfn f() { crate::c::call() }\n");
    write("b.rs", "use crate::Thing;\npub fn own() {}\n");
    write(
        "c.rs",
        "pub fn call() {}\n#[cfg(test)]\nmod tests { use crate::b; }\n",
    );
    let imports = of_package(&folder.path().join("lib.rs"));
    let arrows: Vec<(&str, &str)> = imports
        .keys()
        .map(|(from, to)| {
            let name = |path: &'_ str| path.rsplit('/').next().expect("a name").len();
            (&from[from.len() - name(from)..], &to[to.len() - name(to)..])
        })
        .collect();
    assert_eq!(
        arrows,
        [
            ("a.rs", "c.rs"),
            ("b.rs", "a.rs"),
            ("lib.rs", "a.rs"),
            ("lib.rs", "b.rs")
        ]
    );
}
