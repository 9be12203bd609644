#![no_main]

davy_libfuzzer::fuzz!(formats::folded);
