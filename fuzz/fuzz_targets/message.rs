#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plategate::fuzzing::run("message", data));
