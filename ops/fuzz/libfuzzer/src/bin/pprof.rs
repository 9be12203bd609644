#![no_main]

davy_libfuzzer::fuzz!(codecs::pprof);
