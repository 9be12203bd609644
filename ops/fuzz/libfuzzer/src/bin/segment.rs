#![no_main]

davy_libfuzzer::fuzz!(archive::segment);
