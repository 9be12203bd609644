//! Says whether this system has our own engine: the cfg `native`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(native)");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let is_known = ["x86_64", "aarch64"].contains(&of("CARGO_CFG_TARGET_ARCH").as_str());
    if of("CARGO_CFG_TARGET_OS") == "linux" && is_known {
        println!("cargo:rustc-cfg=native");
    }
}
