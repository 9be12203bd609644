//! Migrations are compiled in, so a change in their folder must cause a rebuild.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
