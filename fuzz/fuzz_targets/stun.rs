#![no_main]
#[path = "../invariants.rs"]
#[allow(dead_code, reason = "each target uses one of them")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::stun(bytes));
