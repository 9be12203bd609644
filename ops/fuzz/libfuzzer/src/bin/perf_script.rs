#![no_main]

davy_libfuzzer::fuzz!(formats::perf_script);
