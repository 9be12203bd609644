//! Sets the cfg `native` on systems that have the built-in sampler, and rejects features that the target
//! does not support.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(native)");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let has_feature = |name: &str| std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let is_supported_arch =
        ["x86_64", "aarch64"].contains(&variable("CARGO_CFG_TARGET_ARCH").as_str());
    if variable("CARGO_CFG_TARGET_OS") == "linux" && is_supported_arch {
        println!("cargo::rustc-cfg=native");
    } else if !has_feature("PPROF_ENGINE") {
        println!(
            "cargo::error=davy-profiler has a built-in sampler for Linux on x86_64 and aarch64 only; \
             enable its feature `pprof-engine` for other targets"
        );
    } else if has_feature("JEMALLOC") {
        println!(
            "cargo::error=heap profiles need Linux on x86_64 or aarch64; \
             disable the default features of davy-profiler for other targets"
        );
    }
}
