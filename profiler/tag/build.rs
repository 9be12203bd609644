//! Compiles a variable that Rust cannot declare: a thread-local that other processes find by name.

fn main() {
    println!("cargo:rerun-if-changed=src/otel/slot.c");
    #[cfg(feature = "otel")]
    slot();
}

#[cfg(feature = "otel")]
fn slot() {
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target != "linux" {
        return;
    }
    cc::Build::new()
        .file("src/otel/slot.c")
        // TLS descriptors, as the specification recommends; aarch64 has no other TLS dialect.
        .flag_if_supported("-mtls-dialect=gnu2")
        .compile("davy_tag_otel");
    // Programs must export the symbol to be readable; so must the tests.
    println!("cargo:rustc-link-arg-tests=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");
}
