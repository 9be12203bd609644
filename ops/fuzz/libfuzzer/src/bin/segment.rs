#![no_main]

davy_libfuzzer::fuzz!("segment");
