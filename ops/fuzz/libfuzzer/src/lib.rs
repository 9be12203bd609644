#![doc = include_str!("../README.md")]

#[doc(hidden)]
pub use libfuzzer_sys::fuzz_target;

/// The `main` of a program that fuzzes a function of `davy_fuzz::targets`.
///
/// The program refers to this function only, so that it does not contain the code of the other targets: libFuzzer
/// reads the counters of all code after each run.
#[macro_export]
macro_rules! fuzz {
    ($module:ident::$name:ident) => {
        #[global_allocator]
        static ALLOCATOR: davy_fuzz::memory::Counting = davy_fuzz::memory::Counting;

        $crate::fuzz_target!(|input: &[u8]| {
            davy_fuzz::check(stringify!($name), davy_fuzz::targets::$module::$name, input);
        });
    };
}
