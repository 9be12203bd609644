//! The imports between the modules of a package, from its source text.
//!
//! `use` items, re-exports, and paths in code count. A path is followed through re-exports to the module that
//! defines the item, so a module may present what its children define, unless they use what it defines itself:
//! that belongs in a module of its own. Code under `#[cfg(test)]` and the arguments of macros are not analysed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// A module's path within its package: `["cpu", "signal"]`; the root is empty.
type ModulePath = Vec<String>;

/// What a package's modules import from each other, as (importer, imported, what it names).
pub type Imports = BTreeMap<(String, String), BTreeSet<String>>;

/// Reads the package whose root module is the file `root`.
///
/// # Panics
///
/// If a file of the package cannot be read or parsed.
pub fn of_package(root: &Path) -> Imports {
    let mut modules = BTreeMap::new();
    read(root, &root.with_file_name(""), Vec::new(), &mut modules);
    let mut imports = Imports::new();
    for (path, module) in &modules {
        // A single name is a local variable as often as a module, so it counts only if it was imported.
        let is_followed =
            |used: &&Vec<String>| used.len() > 1 || module.uses.contains_key(&used[0]);
        for used in module.paths.iter().filter(is_followed) {
            let Some(target) = resolve(&modules, path, used, 0) else {
                continue;
            };
            let (from, to) = (&module.file, &modules[&target].file);
            if from != to {
                let named = used.join("::");
                imports
                    .entry((from.clone(), to.clone()))
                    .or_default()
                    .insert(named);
            }
        }
    }
    imports
}

#[derive(Default)]
struct Module {
    file: String,
    /// Names of items that it defines itself.
    items: BTreeSet<String>,
    /// Names that its `use` items bring into scope, and the path of each.
    uses: BTreeMap<String, Vec<String>>,
    /// Modules whose names a `use path::*` brings into scope.
    globs: Vec<Vec<String>>,
    /// Every path that it names.
    paths: BTreeSet<Vec<String>>,
}

type Modules = BTreeMap<ModulePath, Module>;

/// Reads a file and the files of its child modules, which are in `folder`.
fn read(file: &Path, folder: &Path, path: ModulePath, modules: &mut Modules) {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    let parsed = syn::parse_file(&text)
        .unwrap_or_else(|error| panic!("cannot parse {}: {error}", file.display()));
    let mut children = Vec::new();
    scan(file, &parsed.items, path, modules, &mut children);
    for child in children {
        let name = child.last().expect("a child has a name");
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(name).join("mod.rs");
        let file = if flat.exists() { flat } else { nested };
        read(&file, &folder.join(name), child, modules);
    }
}

fn scan(
    file: &Path,
    items: &[syn::Item],
    path: ModulePath,
    modules: &mut Modules,
    children: &mut Vec<ModulePath>,
) {
    let mut module = Module {
        file: file.display().to_string(),
        ..Module::default()
    };
    for item in items.iter().filter(|item| !is_test(item)) {
        if let Some(name) = name_of(item) {
            module.items.insert(name);
        }
        match item {
            syn::Item::Mod(child) => {
                let mut child_path = path.clone();
                child_path.push(child.ident.to_string());
                match &child.content {
                    Some((_, items)) => scan(file, items, child_path, modules, children),
                    None => children.push(child_path),
                }
            }
            syn::Item::Use(used) => {
                add_use(&used.tree, &mut Vec::new(), &mut module);
            }
            item => Paths(&mut module.paths).visit_item(item),
        }
    }
    modules.insert(path, module);
}

/// Collects the paths in code. Their first segment decides later whether they are of this package.
struct Paths<'a>(&'a mut BTreeSet<Vec<String>>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.0.insert(segments);
        syn::visit::visit_path(self, path);
    }

    /// `pub(super)` names a module without importing anything.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, used: &'ast syn::ItemUse) {
        let mut module = Module::default();
        add_use(&used.tree, &mut Vec::new(), &mut module);
        self.0.extend(module.paths);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(item) {
            syn::visit::visit_item(self, item);
        }
    }
}

fn add_use(tree: &syn::UseTree, prefix: &mut Vec<String>, module: &mut Module) {
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            add_use(&path.tree, prefix, module);
            prefix.pop();
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                add_use(tree, prefix, module);
            }
        }
        syn::UseTree::Glob(_) => {
            module.globs.push(prefix.clone());
            module.paths.insert(prefix.clone());
        }
        syn::UseTree::Name(name) => bind(&name.ident, &name.ident, prefix, module),
        syn::UseTree::Rename(name) => bind(&name.rename, &name.ident, prefix, module),
    }
}

fn bind(name: &syn::Ident, ident: &syn::Ident, prefix: &[String], module: &mut Module) {
    let mut path = prefix.to_vec();
    let mut name = name.to_string();
    if ident == "self" {
        if name == "self" {
            name = path.last().cloned().unwrap_or_default();
        }
    } else {
        path.push(ident.to_string());
    }
    module.paths.insert(path.clone());
    module.uses.insert(name, path);
}

/// Bound on the length of a chain of re-exports.
const DEPTH_MAX: usize = 32;

/// The module that defines what `path` names in `scope`; `None` if it is not of this package.
fn resolve(
    modules: &Modules,
    scope: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (mut at, mut rest): (ModulePath, &[String]) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (scope.clone(), &path[1..]),
        "super" => (scope.split_last()?.1.to_vec(), &path[1..]),
        _ => (scope.clone(), path),
    };
    while rest.first().is_some_and(|segment| segment == "super") {
        at.pop()?;
        rest = &rest[1..];
    }
    while let Some((name, after)) = rest.split_first() {
        let module = modules.get(&at)?;
        let mut child = at.clone();
        child.push(name.clone());
        if modules.contains_key(&child) {
            (at, rest) = (child, after);
        } else if module.items.contains(name) {
            // A bare name of an item of this module is not an import.
            return Some(at);
        } else if let Some(used) = module.uses.get(name) {
            // `use davy_x::y` in a module that has no `davy_x` ends here, and so does a name of itself.
            if used.first() == Some(name) && at == *scope {
                return None;
            }
            let mut through = used.clone();
            through.extend_from_slice(after);
            return resolve(modules, &at, &through, depth + 1);
        } else {
            return module.globs.iter().find_map(|glob| {
                let mut through = glob.clone();
                through.extend_from_slice(rest);
                resolve(modules, &at, &through, depth + 1)
            });
        }
    }
    Some(at)
}

fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list
            .tokens
            .clone()
            .into_iter()
            .next()
            .is_some_and(|token| token.to_string() == "test"),
        _ => false,
    })
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Root modules of the workspace's packages: `src/lib.rs`, else `src/main.rs`.
pub fn package_roots() -> Vec<PathBuf> {
    crate::files()
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && *path != crate::root().join("Cargo.toml"))
        .filter_map(|manifest| {
            let source = manifest.with_file_name("src");
            [source.join("lib.rs"), source.join("main.rs")]
                .into_iter()
                .find(|root| root.exists())
        })
        .collect()
}
