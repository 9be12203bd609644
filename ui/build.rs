//! Makes cargo embed anew whenever the built app changes.

fn main() {
    // Cargo takes a path that isn't there for changed at every build; an empty folder it can watch.
    // Where the sources are read-only there is nothing to watch for either.
    let _ = std::fs::create_dir("dist");
    println!("cargo:rerun-if-changed=dist");
    println!("cargo:rerun-if-changed=build.rs");
}
