#![doc = include_str!("../README.md")]

#[doc(hidden)]
pub use libfuzzer_sys::fuzz_target;

/// The `main` of a program that fuzzes the target with this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        #[global_allocator]
        static ALLOCATOR: davy_fuzz::memory::Counting = davy_fuzz::memory::Counting;

        static TARGET: std::sync::LazyLock<davy_fuzz::Target> =
            std::sync::LazyLock::new(|| davy_fuzz::Target::named($name).expect("a target with this name"));

        $crate::fuzz_target!(|input: &[u8]| {
            TARGET.check(input);
        });
    };
}
