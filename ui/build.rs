//! Makes cargo embed the app again whenever `dist` changes.

fn main() {
    // Cargo treats a missing path as changed in every build, but can watch an empty folder. Creating it
    // fails on read-only sources, where nothing changes.
    let _ = std::fs::create_dir("dist");
    println!("cargo:rerun-if-changed=dist");
    println!("cargo:rerun-if-changed=build.rs");
}
