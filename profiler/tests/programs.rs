//! Programs that are built in other ways than the tests: optimized as a whole, stripped, without unwinding of panics, and
//! static with musl.

mod work;

use davy_profile::{Limits, Profile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use work::stack;

/// Calls between the root of a thread and its work, in `programs/workload.rs`.
const DEPTH: usize = 21;

/// Builds `programs/workload.rs` in a workspace of its own, with a profile and for a target. Returns the executable.
fn build(name: &str, profile: &str, target: Option<&str>) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let profiler = env!("CARGO_MANIFEST_DIR");
    std::fs::create_dir_all(&folder).expect("the folder of builds is writable");
    let manifest = format!(
        r#"
[package]
name = "{name}"
edition = "2024"

[[bin]]
name = "{name}"
path = "{profiler}/tests/programs/workload.rs"

[dependencies]
davy-profile = {{ path = "{profiler}/profile" }}
davy-profiler = {{ path = "{profiler}", default-features = false }}
libc = "0.2"

[profile.release]
{profile}

[workspace]
"#
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    // The versions of this workspace, which have been downloaded.
    let lock = Path::new(profiler).join("../Cargo.lock");
    std::fs::copy(lock, folder.join("Cargo.lock")).expect("the lock file");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--offline", "--quiet"]);
    command.current_dir(&folder).env_remove("RUSTFLAGS");
    // Both builds have the same build scripts and macros.
    let mut built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    command.env("CARGO_TARGET_DIR", &built);
    if let Some(target) = target {
        command.args(["--target", target]);
        built.push(target);
    }
    let output = command.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    built.join("release").join(name)
}

/// The profile that a program takes of itself.
fn run(program: &Path) -> Profile {
    let symbols = tempfile::tempdir().expect("a folder");
    let output = Command::new(program).arg(symbols.path()).output();
    let output = output.expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    davy_profile::pprof::decode(&output.stdout, &Limits::default()).expect("a profile")
}

/// CPU time by stack, from the leaf to the root.
fn stacks(profile: &Profile) -> BTreeMap<Vec<String>, i64> {
    let mut stacks = BTreeMap::new();
    for sample in 0..profile.sample_count() {
        *stacks.entry(stack(profile, sample)).or_default() += profile.values(sample)[0];
    }
    stacks
}

/// The share of the CPU time whose stacks `is_wanted` accepts.
fn share(stacks: &BTreeMap<Vec<String>, i64>, is_wanted: impl Fn(&[String]) -> bool) -> f64 {
    let wanted = stacks.iter().filter(|(stack, _)| is_wanted(stack));
    let wanted: i64 = wanted.map(|(_, nanos)| nanos).sum();
    wanted as f64 / stacks.values().sum::<i64>() as f64
}

/// Checks the shares of the two threads, which need not have got the same CPU time on a busy machine.
fn check_shares(computed: f64, kernel: f64, shown: &dyn std::fmt::Debug) {
    assert!(
        computed > 0.15 && kernel > 0.15,
        "{computed} {kernel} {shown:#?}"
    );
    assert!(computed + kernel > 0.85, "{computed} {kernel} {shown:#?}");
}

/// The innermost function; empty for CPU time without a stack.
fn leaf(stack: &[String]) -> &str {
    stack.first().map_or("", String::as_str)
}

/// The length of the longest run of the same function: the recursion.
fn recursion(stack: &[String]) -> usize {
    let runs = stack.chunk_by(|a, b| a == b);
    runs.map(<[String]>::len).max().unwrap_or(0)
}

#[test]
fn stacks_of_a_stripped_program_without_unwinding_are_whole_and_grouped_by_function() {
    let profile = "lto = \"fat\"\nstrip = \"symbols\"\nopt-level = 1\npanic = \"abort\"";
    let stacks = stacks(&run(&build("stripped", profile, None)));
    let whole = share(&stacks, |stack| recursion(stack) == DEPTH);
    println!("{:.1} % of the CPU time has whole stacks", whole * 100.0);
    assert!(whole > 0.95, "{stacks:#?}");
    let kernel = share(&stacks, |stack| leaf(stack) == "[kernel] getrandom");
    // The other half is one function, shown by where it starts.
    let is_placeholder = |name: &str| name.starts_with("stripped+0x");
    let mut leaves: BTreeMap<&str, i64> = BTreeMap::new();
    for (stack, nanos) in &stacks {
        *leaves.entry(leaf(stack)).or_default() += nanos;
    }
    let (name, _) = leaves
        .iter()
        .filter(|(name, _)| is_placeholder(name))
        .max_by_key(|(_, nanos)| **nanos)
        .expect("functions without a name");
    let computed = share(&stacks, |stack| leaf(stack) == *name);
    println!(
        "{:.1} % in {name}, {:.1} % in getrandom",
        computed * 100.0,
        kernel * 100.0
    );
    check_shares(computed, kernel, &leaves);
}

#[test]
fn static_program_with_musl_has_whole_stacks_of_its_own_code_and_shows_the_kernel() {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = output.expect("rustc runs").stdout;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(&target).exists() {
        return davy_test_support::skip(&format!(
            "the standard library of {target} is not installed (rustup target add)"
        ));
    }
    let profile = "debug = \"line-tables-only\"\nopt-level = 1";
    let stacks = stacks(&run(&build("static-musl", profile, Some(&target))));
    let computed = share(&stacks, |stack| {
        recursion(stack) == DEPTH && stack.iter().any(|name| name.ends_with("::compute"))
    });
    // The code of musl has no unwind tables, so the callers of its functions are missing.
    let kernel = share(&stacks, |stack| leaf(stack).starts_with("[kernel]"));
    println!(
        "{:.1} % whole stacks, {:.1} % in the kernel",
        computed * 100.0,
        kernel * 100.0
    );
    check_shares(computed, kernel, &stacks);
}
