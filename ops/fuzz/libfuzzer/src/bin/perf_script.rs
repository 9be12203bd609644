#![no_main]

davy_libfuzzer::fuzz!("perf_script");
